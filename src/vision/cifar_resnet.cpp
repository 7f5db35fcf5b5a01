#include "sdg/vision/cifar_resnet.h"

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/vision/load_weights.h"
#include "vision/unit_input_impl.h"

namespace sdg::vision {
namespace {
torch::nn::Conv2d conv3x3(int64_t in, int64_t out, int64_t stride) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).stride(stride).padding(1).bias(false));
}

torch::nn::Sequential stage(int64_t in, int64_t out, int64_t blocks, int64_t stride) {
  torch::nn::Sequential s;
  for (int64_t i = 0; i < blocks; ++i) s->push_back(CifarBlock(i ? out : in, out, i ? 1 : stride));
  return s;
}
}  // namespace

CifarBlockImpl::CifarBlockImpl(int64_t in, int64_t out, int64_t stride)
    : stride_(stride),
      extra_(out - in),
      conv1_(register_module("conv1", conv3x3(in, out, stride))),
      conv2_(register_module("conv2", conv3x3(out, out, 1))),
      bn1_(register_module("bn1", torch::nn::BatchNorm2d(out))),
      bn2_(register_module("bn2", torch::nn::BatchNorm2d(out))) {}

Tensor CifarBlockImpl::forward(const Tensor& x) {
  const Tensor h = bn2_(conv2_(at::relu(bn1_(conv1_(x)))));  // [N, out, H/stride, W/stride]
  Tensor shortcut = x;
  if (stride_ != 1) shortcut = shortcut.slice(2, 0, {}, stride_).slice(3, 0, {}, stride_);
  if (extra_) shortcut = at::constant_pad_nd(shortcut, {0, 0, 0, 0, extra_ / 2, extra_ - extra_ / 2});
  return at::relu(h + shortcut);
}

CifarResNetImpl::CifarResNetImpl(int64_t depth)
    : conv1_(register_module("conv1", conv3x3(3, 16, 1))),
      bn1_(register_module("bn1", torch::nn::BatchNorm2d(16))),
      layer1_(register_module("layer1", stage(16, 16, (depth - 2) / 6, 1))),
      layer2_(register_module("layer2", stage(16, 32, (depth - 2) / 6, 2))),
      layer3_(register_module("layer3", stage(32, 64, (depth - 2) / 6, 2))),
      linear_(register_module("linear", torch::nn::Linear(64, 10))) {
  SDG_CHECK(depth >= 8 && (depth - 2) % 6 == 0, "cifar resnet: the depth must be 6n + 2, got ", depth);
  eval();
}

Tensor CifarResNetImpl::features(const Tensor& x) {
  check_shape(x, {-1, 3, -1, -1}, "cifar resnet: input");
  Tensor h = at::relu(bn1_(conv1_(x)));  // [N, 16, 32, 32]
  h = layer1_->forward(h);
  h = layer2_->forward(h);  // [N, 32, 16, 16]
  h = layer3_->forward(h);  // [N, 64, 8, 8]
  return h.mean({2, 3});    // [N, 64]
}

Tensor CifarResNetImpl::forward(const Tensor& x) {
  return linear_(features(x));
}

void CifarResNetImpl::load_state(const std::map<std::string, Tensor>& weights, const std::string& where) {
  load_weights(*this, weights, where);
}

Tensor cifar_resnet_input(const Tensor& images) {
  const Tensor x = unit_input(images, 3, 32, "cifar resnet: images");
  const Tensor mean = at::tensor({0.485F, 0.456F, 0.406F}, x.options()).view({3, 1, 1});
  const Tensor deviation = at::tensor({0.229F, 0.224F, 0.225F}, x.options()).view({3, 1, 1});
  return (x - mean) / deviation;
}

}  // namespace sdg::vision
