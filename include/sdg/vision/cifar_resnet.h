#pragma once
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>

#include <map>
#include <string>

#include "sdg/core/tensor.h"

/// The CIFAR-10 ResNets of He et al. 2016, section 4.2, with the key names of akamaster/pytorch_resnet_cifar10.
namespace sdg::vision {

/// Two 3x3 convolutions; where the size halves the shortcut takes every second pixel and pads channels with zeros
/// (option A).
class CifarBlockImpl : public torch::nn::Module {
 public:
  CifarBlockImpl(int64_t in, int64_t out, int64_t stride);
  Tensor forward(const Tensor& x);  ///< [N, in, H, W] -> [N, out, H/stride, W/stride]

 private:
  int64_t stride_, extra_;
  torch::nn::Conv2d conv1_, conv2_;
  torch::nn::BatchNorm2d bn1_, bn2_;
};
TORCH_MODULE(CifarBlock);

class CifarResNetImpl : public torch::nn::Module {
 public:
  /// `depth` is 6n + 2: 20, 32, 44, 56, 110.
  explicit CifarResNetImpl(int64_t depth);
  Tensor features(const Tensor& x);  ///< x from cifar_resnet_input -> pooled features [N, 64]
  Tensor forward(const Tensor& x);   ///< logits [N, 10]
  void load_state(const std::map<std::string, Tensor>& weights, const std::string& where);

 private:
  torch::nn::Conv2d conv1_;
  torch::nn::BatchNorm2d bn1_;
  torch::nn::Sequential layer1_, layer2_, layer3_;
  torch::nn::Linear linear_;
};
TORCH_MODULE(CifarResNet);

/// uint8 [N, 3, H, W] -> float [N, 3, 32, 32] with ImageNet's mean and deviation taken out; other sizes are resized
/// (bilinear, antialiased) first.
Tensor cifar_resnet_input(const Tensor& images);

}  // namespace sdg::vision
