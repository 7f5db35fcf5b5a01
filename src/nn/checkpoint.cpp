#include "sdg/nn/checkpoint.h"

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

namespace sdg::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Sets autocast of one kind of device to a remembered state, and back.
class AutocastGuard {
 public:
  AutocastGuard(at::DeviceType device, bool enabled, at::ScalarType dtype)
      : device_(device),
        enabled_(at::autocast::is_autocast_enabled(device)),
        dtype_(at::autocast::get_autocast_dtype(device)) {
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_dtype(device, dtype);
  }
  ~AutocastGuard() {
    at::autocast::set_autocast_enabled(device_, enabled_);
    at::autocast::set_autocast_dtype(device_, dtype_);
  }
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  at::DeviceType device_;
  bool enabled_;
  at::ScalarType dtype_;
};

// What the second run needs besides tensors.
struct Rerun : torch::CustomClassHolder {
  Piece piece;
  size_t inputs = 0;
  at::DeviceType device = at::kCPU;
  bool autocast = false;
  at::ScalarType autocast_dtype = at::kFloat;
};

struct Checkpoint : torch::autograd::Function<Checkpoint> {
  static Tensor forward(AutogradContext* context, at::TensorList tensors, const c10::intrusive_ptr<Rerun>& rerun) {
    context->save_for_backward(tensors.vec());
    context->saved_data["rerun"] = c10::IValue::make_capsule(rerun);
    return rerun->piece(
        {tensors.begin(), tensors.begin() + static_cast<int64_t>(rerun->inputs)});  // grad mode is off here
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto rerun = c10::static_intrusive_pointer_cast<Rerun>(context->saved_data["rerun"].toCapsule());
    auto tensors = context->get_saved_variables();
    const at::AutoGradMode with_grad(true);
    const AutocastGuard autocast(rerun->device, rerun->autocast, rerun->autocast_dtype);
    for (size_t i = 0; i < rerun->inputs; ++i)
      tensors[i] = tensors[i].detach().set_requires_grad(tensors[i].requires_grad());
    const auto out = rerun->piece({tensors.begin(), tensors.begin() + static_cast<int64_t>(rerun->inputs)});

    variable_list wanted;
    for (const auto& tensor : tensors)
      if (tensor.requires_grad()) wanted.push_back(tensor);
    const auto found =
        torch::autograd::grad({out}, wanted, {gradients[0]}, /*retain_graph=*/false, /*create_graph=*/false,
                              /*allow_unused=*/true);
    variable_list result(tensors.size() + 1);  // the last one stands for `rerun`
    for (size_t i = 0, next = 0; i < tensors.size(); ++i)
      if (tensors[i].requires_grad()) result[i] = found[next++];
    return result;
  }
};

}  // namespace

Tensor checkpoint(const Piece& piece, const std::vector<Tensor>& inputs, const std::vector<Tensor>& parameters) {
  if (!at::GradMode::is_enabled()) return piece(inputs);
  auto rerun = c10::make_intrusive<Rerun>();
  rerun->piece = piece;
  rerun->inputs = inputs.size();
  rerun->device = inputs.at(0).device().type();
  rerun->autocast = at::autocast::is_autocast_enabled(rerun->device);
  rerun->autocast_dtype = at::autocast::get_autocast_dtype(rerun->device);
  auto tensors = inputs;
  tensors.insert(tensors.end(), parameters.begin(), parameters.end());
  return Checkpoint::apply(at::TensorList(tensors), rerun);
}

}  // namespace sdg::nn
