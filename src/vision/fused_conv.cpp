#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/types.h>

#include <optional>

#include "vision/fused_conv_impl.h"

namespace sdg::vision {
namespace {

// oneDNN's operators that take weights of its own layout; nothing where LibTorch was built without it.
struct OneDnn {
  std::optional<c10::OperatorHandle> reorder, convolve;
  bool there() const { return reorder && convolve; }
};

const OneDnn& one_dnn() {
  static const OneDnn found = [] {
    auto& dispatcher = c10::Dispatcher::singleton();
    return OneDnn{dispatcher.findSchema({"mkldnn::_reorder_convolution_weight", ""}),
                  dispatcher.findSchema({"mkldnn::_convolution_pointwise", ""})};
  }();
  return found;
}

const std::vector<int64_t> kDilation{1, 1};
constexpr int64_t kGroups = 1;

Tensor call(const c10::OperatorHandle& what, torch::jit::Stack stack) {
  what.callBoxed(stack);
  return stack.front().toTensor();
}

}  // namespace

FusedConv::FusedConv(const torch::nn::Conv2dImpl& conv, const torch::nn::BatchNorm2dImpl& norm, at::ScalarType type) {
  torch::NoGradGuard no_grad;
  using Extent = torch::ExpandingArray<2>;
  const Extent stride = conv.options.stride(), padding = std::get<Extent>(conv.options.padding());
  stride_.assign(stride->begin(), stride->end());
  padding_.assign(padding->begin(), padding->end());
  const Tensor scale = norm.weight.to(at::kDouble) / (norm.running_var.to(at::kDouble) + norm.options.eps()).sqrt();
  const Tensor weight = conv.weight.to(at::kDouble) * scale.view({-1, 1, 1, 1});
  const Tensor bias = norm.bias.to(at::kDouble) - norm.running_mean.to(at::kDouble) * scale;
  weight_ = weight.to(type).contiguous(at::MemoryFormat::ChannelsLast);
  bias_ = bias.to(type);
}

Tensor FusedConv::operator()(const Tensor& x) const {
  if (!packed_.defined()) return at::conv2d(x, weight_, bias_, stride_, padding_).relu_();
  return call(*one_dnn().convolve, {x, packed_, bias_, padding_, stride_, kDilation, kGroups, std::string("relu"),
                                    c10::List<std::optional<at::Scalar>>(), std::optional<std::string>()});
}

void FusedConv::pack(const Tensor& x) {
  if (packed_.defined() || !x.is_cpu() || !one_dnn().there()) return;
  packed_ = call(*one_dnn().reorder, {weight_, padding_, stride_, kDilation, kGroups, x.sizes().vec()});
}

}  // namespace sdg::vision
