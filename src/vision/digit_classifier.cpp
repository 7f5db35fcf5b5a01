#include "sdg/vision/digit_classifier.h"

#include "sdg/core/shape.h"
#include "sdg/vision/load_weights.h"
#include "vision/unit_input_impl.h"

namespace sdg::vision {
namespace {
constexpr int64_t kSide = 8;
torch::nn::Conv2d conv3x3(int64_t in, int64_t out) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1));
}
}  // namespace

DigitClassifierImpl::DigitClassifierImpl()
    : conv1_(register_module("conv1", conv3x3(1, 32))),
      conv2_(register_module("conv2", conv3x3(32, 32))),
      fc1_(register_module("fc1", torch::nn::Linear(32 * (kSide / 2) * (kSide / 2), 64))),
      fc2_(register_module("fc2", torch::nn::Linear(64, 10))) {
  eval();
}

Tensor DigitClassifierImpl::features(const Tensor& x) {
  check_shape(x, {-1, 1, kSide, kSide}, "digit classifier: input");
  Tensor h = at::relu(conv2_(at::relu(conv1_(x))));  // [N, 32, 8, 8]
  h = at::max_pool2d(h, {2, 2}).flatten(1);          // [N, 512]
  return at::relu(fc1_(h));                          // [N, 64]
}

Tensor DigitClassifierImpl::forward(const Tensor& x) {
  return fc2_(features(x));
}

void DigitClassifierImpl::load_state(const std::map<std::string, Tensor>& weights, const std::string& where) {
  load_weights(*this, weights, where);
}

Tensor digit_classifier_input(const Tensor& images) {
  return unit_input(images, 1, kSide, "digit classifier: images");
}

}  // namespace sdg::vision
