#pragma once
// Counts what makes the host wait for a device: operations that hand a number of a tensor to the host, or whose result
// has a size that only the data know. On a CPU they cost nothing, and are the same calls; but for the fused AdamW,
// whose kernel for CPUs reads its count of steps where that for GPUs does not: what it reads inside is not counted.
#include <ATen/record_function.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace sdg::test {

class HostReads {
 public:
  HostReads()
      : handle_(at::addGlobalCallback(at::RecordFunctionCallback(begin, end).scopes({at::RecordScope::FUNCTION}))) {
    const std::lock_guard lock(mutex());
    calls().clear();
  }
  ~HostReads() { at::removeCallback(handle_); }
  HostReads(const HostReads&) = delete;
  HostReads& operator=(const HostReads&) = delete;

  /// Calls since this was made, by operation.
  std::map<std::string, int64_t> by_operation() const {
    const std::lock_guard lock(mutex());
    return calls();
  }
  int64_t count() const {
    int64_t out = 0;
    for (const auto& [name, number] : by_operation()) out += number;
    return out;
  }

 private:
  static std::mutex& mutex() {
    static std::mutex one;
    return one;
  }
  static std::map<std::string, int64_t>& calls() {
    static std::map<std::string, int64_t> all;
    return all;
  }
  static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
    static constexpr std::array kWait{"aten::_local_scalar_dense", "aten::nonzero",  "aten::equal",
                                      "aten::masked_select",       "aten::_unique2", "aten::bincount"};
    if (is_optimizer(function)) inside() = true;
    for (const auto* name : kWait) {
      if (inside() || std::string_view(function.name()) != name) continue;
      const std::lock_guard lock(mutex());
      ++calls()[name];
    }
    return nullptr;
  }
  static void end(const at::RecordFunction& function, at::ObserverContext* /*context*/) {
    if (is_optimizer(function)) inside() = false;
  }
  static bool is_optimizer(const at::RecordFunction& function) {
    return std::string_view(function.name()) == "aten::_fused_adamw_";
  }
  static bool& inside() {  // the optimizer, on this thread
    static thread_local bool is = false;
    return is;
  }

  at::CallbackHandle handle_;
};

}  // namespace sdg::test
