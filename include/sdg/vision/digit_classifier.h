#pragma once
#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <map>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::vision {
/// The small network behind FD-digits: conv 3x3 (32), conv 3x3 (32), max pool 2, linear 64, linear 10, ReLU between.
/// tools/train_digit_classifier.py trains it and writes configs/digits_classifier.safetensors, whose metadata holds its
/// test accuracy.
class DigitClassifierImpl : public torch::nn::Module {
 public:
  DigitClassifierImpl();
  Tensor features(const Tensor& x);  ///< x from digit_classifier_input -> [N, 64], after the ReLU
  Tensor forward(const Tensor& x);   ///< logits [N, 10]
  void load_state(const std::map<std::string, Tensor>& weights, const std::string& where);

 private:
  torch::nn::Conv2d conv1_, conv2_;
  torch::nn::Linear fc1_, fc2_;
};
TORCH_MODULE(DigitClassifier);

/// uint8 [N, 1, H, W] -> float [N, 1, 8, 8] in [0, 1]; other sizes are resized (bilinear, antialiased) first.
Tensor digit_classifier_input(const Tensor& images);
}  // namespace sdg::vision
