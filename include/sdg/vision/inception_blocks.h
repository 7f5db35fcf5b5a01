#pragma once
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/pimpl.h>

#include <memory>

#include "sdg/core/tensor.h"

/// The building blocks of the FID Inception network (Szegedy et al. 2015 as ported for FID), with pytorch-fid's key
/// names. They differ from torchvision's in three pools: the average pools of A, C and E1 do not count the padding, and
/// E2 pools by maximum. Widths default to the network's own; x is [N, in, H, W].
namespace sdg::vision {
class FusedConv;

/// Convolution without bias, batch norm (eps 1e-3), ReLU.
class BasicConv2dImpl : public torch::nn::Module {
 public:
  BasicConv2dImpl(int64_t in, int64_t out, torch::ExpandingArray<2> kernel, torch::ExpandingArray<2> padding = 0,
                  int64_t stride = 1);
  ~BasicConv2dImpl() override;
  Tensor forward(const Tensor& x);
  /// From here on forward is one convolution whose weights hold the batch norm (multiplied in float64), laid out for
  /// channels-last input, and its ReLU, in `type` (float32 or bf16). Only results are wanted then: no gradients, no
  /// other weights.
  void fold(at::ScalarType type);
  /// While on, folded weights take the layout that the CPU's kernels want for inputs like those that forward sees.
  void set_packing(bool on) { packing_ = on; }

 private:
  torch::nn::Conv2d conv_;
  torch::nn::BatchNorm2d bn_;
  std::unique_ptr<FusedConv> folded_;
  bool packing_ = false;
};
TORCH_MODULE(BasicConv2d);

struct InceptionAWidths {
  int64_t b1 = 64, b5_1 = 48, b5_2 = 64, d1 = 64, d2 = 96, pool = 32;
};
/// Mixed_5b..5d: keeps H, W. [N, b1 + b5_2 + d2 + pool, H, W]
class InceptionAImpl : public torch::nn::Module {
 public:
  explicit InceptionAImpl(int64_t in, const InceptionAWidths& w);
  Tensor forward(const Tensor& x);

 private:
  BasicConv2d branch1x1_, branch5x5_1_, branch5x5_2_, branch3x3dbl_1_, branch3x3dbl_2_, branch3x3dbl_3_, branch_pool_;
};
TORCH_MODULE(InceptionA);

struct InceptionBWidths {
  int64_t b3 = 384, d1 = 64, d2 = 96;
};
/// Mixed_6a: halves H, W. [N, b3 + d2 + in, (H-1)/2, (W-1)/2]
class InceptionBImpl : public torch::nn::Module {
 public:
  explicit InceptionBImpl(int64_t in, const InceptionBWidths& w = {});
  Tensor forward(const Tensor& x);

 private:
  BasicConv2d branch3x3_, branch3x3dbl_1_, branch3x3dbl_2_, branch3x3dbl_3_;
};
TORCH_MODULE(InceptionB);

struct InceptionCWidths {
  int64_t c7 = 128, out = 192;
};
/// Mixed_6b..6e: keeps H, W. [N, 4 * out, H, W]; the first `out` channels are branch1x1.
class InceptionCImpl : public torch::nn::Module {
 public:
  explicit InceptionCImpl(int64_t in, const InceptionCWidths& w = {});
  Tensor forward(const Tensor& x);

 private:
  BasicConv2d branch1x1_, branch7x7_1_, branch7x7_2_, branch7x7_3_;
  BasicConv2d branch7x7dbl_1_, branch7x7dbl_2_, branch7x7dbl_3_, branch7x7dbl_4_, branch7x7dbl_5_, branch_pool_;
};
TORCH_MODULE(InceptionC);

struct InceptionDWidths {
  int64_t a = 192, b = 320, c = 192;
};
/// Mixed_7a: halves H, W. [N, b + c + in, (H-1)/2, (W-1)/2]
class InceptionDImpl : public torch::nn::Module {
 public:
  explicit InceptionDImpl(int64_t in, const InceptionDWidths& w = {});
  Tensor forward(const Tensor& x);

 private:
  BasicConv2d branch3x3_1_, branch3x3_2_, branch7x7x3_1_, branch7x7x3_2_, branch7x7x3_3_, branch7x7x3_4_;
};
TORCH_MODULE(InceptionD);

enum class InceptionPool {
  kAverage,  ///< E1, Mixed_7b
  kMaximum,  ///< E2, Mixed_7c
};
struct InceptionEWidths {
  int64_t b1 = 320, b3 = 384, d1 = 448, pool = 192;
};
/// Mixed_7b, 7c: keeps H, W. [N, b1 + 4 * b3 + pool, H, W]
class InceptionEImpl : public torch::nn::Module {
 public:
  InceptionEImpl(int64_t in, InceptionPool pool, const InceptionEWidths& w = {});
  Tensor forward(const Tensor& x);

 private:
  InceptionPool pool_;
  BasicConv2d branch1x1_, branch3x3_1_, branch3x3_2a_, branch3x3_2b_;
  BasicConv2d branch3x3dbl_1_, branch3x3dbl_2_, branch3x3dbl_3a_, branch3x3dbl_3b_, branch_pool_;
};
TORCH_MODULE(InceptionE);

}  // namespace sdg::vision
