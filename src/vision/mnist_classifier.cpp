#include "sdg/vision/mnist_classifier.h"

#include "sdg/core/shape.h"
#include "sdg/vision/load_weights.h"
#include "vision/unit_input_impl.h"

namespace sdg::vision {
namespace {
constexpr int64_t kMnistSide = 28;
torch::nn::Conv2d padded_conv(int64_t in, int64_t out) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1));
}
}  // namespace

MnistClassifierImpl::MnistClassifierImpl()
    : conv1_(register_module("conv1", padded_conv(1, 16))),
      conv2_(register_module("conv2", padded_conv(16, 32))),
      conv3_(register_module("conv3", padded_conv(32, 32))),
      fc1_(register_module("fc1", torch::nn::Linear(32 * 3 * 3, 64))),
      fc2_(register_module("fc2", torch::nn::Linear(64, 10))) {
  eval();
}

Tensor MnistClassifierImpl::features(const Tensor& x) {
  check_shape(x, {-1, 1, kMnistSide, kMnistSide}, "MNIST classifier: input");
  Tensor h = at::max_pool2d(at::relu(conv1_(x)), {2, 2});  // [N, 16, 14, 14]
  h = at::max_pool2d(at::relu(conv2_(h)), {2, 2});         // [N, 32, 7, 7]
  h = at::max_pool2d(at::relu(conv3_(h)), {2, 2});         // [N, 32, 3, 3]
  return at::relu(fc1_(h.flatten(1)));                     // [N, 64]
}

Tensor MnistClassifierImpl::forward(const Tensor& x) {
  return fc2_(features(x));
}

void MnistClassifierImpl::load_state(const std::map<std::string, Tensor>& weights, const std::string& where) {
  load_weights(*this, weights, where);
}

Tensor mnist_classifier_input(const Tensor& images) {
  return unit_input(images, 1, kMnistSide, "MNIST classifier: images");
}

}  // namespace sdg::vision
