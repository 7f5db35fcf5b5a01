#pragma once
#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <map>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::vision {
/// The small network behind FD-mnist: three times conv 3x3 (16, 32, 32), ReLU, max pool 2; linear 64, ReLU, linear 10.
/// tools/train_digit_classifier.py trains it and writes configs/mnist_classifier.safetensors, whose metadata holds its
/// test accuracy.
class MnistClassifierImpl : public torch::nn::Module {
 public:
  MnistClassifierImpl();
  Tensor features(const Tensor& x);  ///< x from mnist_classifier_input -> [N, 64], after the ReLU
  Tensor forward(const Tensor& x);   ///< logits [N, 10]
  void load_state(const std::map<std::string, Tensor>& weights, const std::string& where);

 private:
  torch::nn::Conv2d conv1_, conv2_, conv3_;
  torch::nn::Linear fc1_, fc2_;
};
TORCH_MODULE(MnistClassifier);

/// uint8 [N, 1, H, W] -> float [N, 1, 28, 28] in [0, 1]; other sizes are resized (bilinear, antialiased) first.
Tensor mnist_classifier_input(const Tensor& images);
}  // namespace sdg::vision
