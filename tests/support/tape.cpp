#include "support/tape.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "sdg/core/error.h"

namespace sdg::test {
namespace {

// After gradients and autocast, which are the host's: what they keep and ask for are operations like others.
constexpr auto kKey = c10::DispatchKey::Fake;

struct Operation {
  c10::OperatorHandle handle;
  std::vector<c10::IValue> arguments, results;
};

std::vector<Operation>*& tape() {
  static thread_local std::vector<Operation>* now = nullptr;
  return now;
}

size_t& taped() {
  static size_t count = 0;
  return count;
}

std::vector<Tensor> tensors_in(const std::vector<c10::IValue>& values) {
  std::vector<Tensor> out;
  for (const auto& value : values) {
    if (value.isTensor()) out.push_back(value.toTensor());
    if (value.isTensorList())
      for (const Tensor& tensor : value.toTensorVector()) out.push_back(tensor);
  }
  return out;
}

void take_down(const c10::OperatorHandle& handle, torch::jit::Stack* stack) {
  static constexpr std::array kHandOver{"aten::item",    "aten::_local_scalar_dense", "aten::equal",
                                        "aten::nonzero", "aten::masked_select",       "aten::is_nonzero"};
  const auto& name = handle.operator_name().name;
  SDG_CHECK(std::find(kHandOver.begin(), kHandOver.end(), name) == kHandOver.end(), name,
            ": operation not permitted while recording");
  const c10::impl::ExcludeDispatchKeyGuard inside(kKey);
  const auto taken = static_cast<std::ptrdiff_t>(handle.schema().arguments().size());
  Operation operation{handle, {stack->end() - taken, stack->end()}, {}};
  handle.callBoxed(stack);
  const auto given = static_cast<std::ptrdiff_t>(handle.schema().returns().size());
  operation.results = {stack->end() - given, stack->end()};
  tape()->push_back(std::move(operation));
  ++taped();
}

// While it lives, this thread's operations are taken down.
class Taking {
 public:
  explicit Taking(std::vector<Operation>& operations) { tape() = &operations; }
  ~Taking() { tape() = nullptr; }
  Taking(const Taking&) = delete;
  Taking& operator=(const Taking&) = delete;

 private:
  c10::impl::IncludeDispatchKeyGuard guard_{kKey};
};

class Tape : public Recording {
 public:
  void record(const std::function<void()>& work) override {
    work();
    {
      const Taking taking(operations_);
      work();
    }
    // A graph's memory holds nothing until it is replayed.
    for (const auto& operation : operations_) {
      const auto given = tensors_in(operation.arguments);
      for (const auto& result : tensors_in(operation.results))
        if (!lies_in(result, given) && result.is_floating_point()) result.fill_(NAN);
    }
  }

  void replay() override {
    const at::AutoDispatchBelowADInplaceOrView below;
    for (const auto& operation : operations_) {
      torch::jit::Stack stack = operation.arguments;
      operation.handle.callBoxed(stack);
      const auto given = tensors_in(operation.arguments), before = tensors_in(operation.results),
                 now = tensors_in(stack);
      for (size_t i = 0; i < now.size(); ++i)
        if (before[i].defined() && !lies_in(before[i], given)) before[i].copy_(now[i]);
    }
  }

 private:
  static bool lies_in(const Tensor& result, const std::vector<Tensor>& given) {
    return !result.defined() || std::any_of(given.begin(), given.end(), [&](const Tensor& tensor) {
      return tensor.defined() && tensor.is_alias_of(result);
    });
  }

  std::vector<Operation> operations_;
};

}  // namespace

MakeRecording tapes() {
  return [] { return std::make_unique<Tape>(); };
}

size_t operations_taped() {
  return taped();
}

}  // namespace sdg::test

TORCH_LIBRARY_IMPL(_, Fake, library) {
  library.fallback(torch::CppFunction::makeFromBoxedFunction<&sdg::test::take_down>());
}
