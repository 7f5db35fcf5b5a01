#pragma once
// The stack machine for pickles of torch.save (protocols 0 to 5 as far as picklers of plain data write them).
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sdg/io/torch_file.h"

namespace sdg::io {

/// Owner of the values of a file; addresses stay.
class ValuePool {
 public:
  explicit ValuePool(std::string where) : where_(std::move(where)) {}
  TorchValue* make(decltype(TorchValue::data) data);
  /// Counts bytes that an opcode copies from a value (which may be reused any number of times) against a limit.
  void charge(size_t bytes);
  const std::string& where() const { return where_; }

 private:
  std::string where_;
  std::deque<TorchValue> values_;
  size_t charged_ = 0;
};

/// What stands for `module.name`; throws Error unless it is on the list.
TorchValue::Object known_global(const std::string& name, const std::string& where);

/// The storage (without key and size) of a class such as torch.FloatStorage; nothing if `type` is no such class.
std::optional<TorchValue::Storage> storage_of(const TorchValue& type);

/// What calling the global `callable` with `arguments` means: data, or an Error. Never a call.
TorchValue* apply_global(ValuePool& pool, const TorchValue& callable, const TorchValue::List& arguments);

/// Sets the attributes of `object` as pickle's BUILD does: a record takes them, everything else ignores them.
void apply_state(ValuePool& pool, TorchValue& object, const TorchValue& state);

/// Reads one pickle from the front of `bytes` (whose rest is left there). `persistent` answers persistent ids: the
/// tuples by which tensors refer to storages.
const TorchValue* read_pickle(std::span<const std::byte>& bytes, ValuePool& pool,
                              const std::function<TorchValue*(const TorchValue&)>& persistent);

}  // namespace sdg::io
