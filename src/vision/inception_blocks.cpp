#include "sdg/vision/inception_blocks.h"

#include "vision/fused_conv_impl.h"

namespace sdg::vision {
namespace {
using Extent = torch::ExpandingArray<2>;  // rows, columns

// 3x3, stride 1: an average over the pixels that are there.
Tensor average_pool(const Tensor& x) {
  return at::avg_pool2d(x, {3, 3}, {1, 1}, {1, 1}, /*ceil_mode=*/false, /*count_include_pad=*/false);
}
Tensor halving_pool(const Tensor& x) {
  return at::max_pool2d(x, {3, 3}, {2, 2});
}
}  // namespace

BasicConv2dImpl::BasicConv2dImpl(int64_t in, int64_t out, torch::ExpandingArray<2> kernel,
                                 torch::ExpandingArray<2> padding, int64_t stride)
    : conv_(register_module(
          "conv",
          torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel).padding(padding).stride(stride).bias(false)))),
      bn_(register_module("bn", torch::nn::BatchNorm2d(torch::nn::BatchNorm2dOptions(out).eps(1e-3)))) {}

BasicConv2dImpl::~BasicConv2dImpl() = default;

Tensor BasicConv2dImpl::forward(const Tensor& x) {
  if (!folded_) return at::relu(bn_(conv_(x)));
  if (packing_) folded_->pack(x);
  return (*folded_)(x);
}

void BasicConv2dImpl::fold(at::ScalarType type) {
  folded_ = std::make_unique<FusedConv>(*conv_, *bn_, type);
}

InceptionAImpl::InceptionAImpl(int64_t in, const InceptionAWidths& w)
    : branch1x1_(register_module("branch1x1", BasicConv2d(in, w.b1, 1))),
      branch5x5_1_(register_module("branch5x5_1", BasicConv2d(in, w.b5_1, 1))),
      branch5x5_2_(register_module("branch5x5_2", BasicConv2d(w.b5_1, w.b5_2, 5, 2))),
      branch3x3dbl_1_(register_module("branch3x3dbl_1", BasicConv2d(in, w.d1, 1))),
      branch3x3dbl_2_(register_module("branch3x3dbl_2", BasicConv2d(w.d1, w.d2, 3, 1))),
      branch3x3dbl_3_(register_module("branch3x3dbl_3", BasicConv2d(w.d2, w.d2, 3, 1))),
      branch_pool_(register_module("branch_pool", BasicConv2d(in, w.pool, 1))) {}

Tensor InceptionAImpl::forward(const Tensor& x) {
  return at::cat({branch1x1_(x), branch5x5_2_(branch5x5_1_(x)), branch3x3dbl_3_(branch3x3dbl_2_(branch3x3dbl_1_(x))),
                  branch_pool_(average_pool(x))},
                 1);
}

InceptionBImpl::InceptionBImpl(int64_t in, const InceptionBWidths& w)
    : branch3x3_(register_module("branch3x3", BasicConv2d(in, w.b3, 3, 0, 2))),
      branch3x3dbl_1_(register_module("branch3x3dbl_1", BasicConv2d(in, w.d1, 1))),
      branch3x3dbl_2_(register_module("branch3x3dbl_2", BasicConv2d(w.d1, w.d2, 3, 1))),
      branch3x3dbl_3_(register_module("branch3x3dbl_3", BasicConv2d(w.d2, w.d2, 3, 0, 2))) {}

Tensor InceptionBImpl::forward(const Tensor& x) {
  return at::cat({branch3x3_(x), branch3x3dbl_3_(branch3x3dbl_2_(branch3x3dbl_1_(x))), halving_pool(x)}, 1);
}

namespace {
constexpr int64_t kSide = 7;
BasicConv2d row_conv(int64_t in, int64_t out) {
  return BasicConv2d(in, out, Extent{1, kSide}, Extent{0, kSide / 2});
}
BasicConv2d column_conv(int64_t in, int64_t out) {
  return BasicConv2d(in, out, Extent{kSide, 1}, Extent{kSide / 2, 0});
}
}  // namespace

InceptionCImpl::InceptionCImpl(int64_t in, const InceptionCWidths& w)
    : branch1x1_(register_module("branch1x1", BasicConv2d(in, w.out, 1))),
      branch7x7_1_(register_module("branch7x7_1", BasicConv2d(in, w.c7, 1))),
      branch7x7_2_(register_module("branch7x7_2", row_conv(w.c7, w.c7))),
      branch7x7_3_(register_module("branch7x7_3", column_conv(w.c7, w.out))),
      branch7x7dbl_1_(register_module("branch7x7dbl_1", BasicConv2d(in, w.c7, 1))),
      branch7x7dbl_2_(register_module("branch7x7dbl_2", column_conv(w.c7, w.c7))),
      branch7x7dbl_3_(register_module("branch7x7dbl_3", row_conv(w.c7, w.c7))),
      branch7x7dbl_4_(register_module("branch7x7dbl_4", column_conv(w.c7, w.c7))),
      branch7x7dbl_5_(register_module("branch7x7dbl_5", row_conv(w.c7, w.out))),
      branch_pool_(register_module("branch_pool", BasicConv2d(in, w.out, 1))) {}

Tensor InceptionCImpl::forward(const Tensor& x) {
  Tensor wide = branch7x7dbl_3_(branch7x7dbl_2_(branch7x7dbl_1_(x)));  // [N, c7, H, W]
  wide = branch7x7dbl_5_(branch7x7dbl_4_(wide));                       // [N, out, H, W]
  return at::cat({branch1x1_(x), branch7x7_3_(branch7x7_2_(branch7x7_1_(x))), wide, branch_pool_(average_pool(x))}, 1);
}

InceptionDImpl::InceptionDImpl(int64_t in, const InceptionDWidths& w)
    : branch3x3_1_(register_module("branch3x3_1", BasicConv2d(in, w.a, 1))),
      branch3x3_2_(register_module("branch3x3_2", BasicConv2d(w.a, w.b, 3, 0, 2))),
      branch7x7x3_1_(register_module("branch7x7x3_1", BasicConv2d(in, w.a, 1))),
      branch7x7x3_2_(register_module("branch7x7x3_2", row_conv(w.a, w.a))),
      branch7x7x3_3_(register_module("branch7x7x3_3", column_conv(w.a, w.a))),
      branch7x7x3_4_(register_module("branch7x7x3_4", BasicConv2d(w.a, w.c, 3, 0, 2))) {}

Tensor InceptionDImpl::forward(const Tensor& x) {
  const Tensor wide = branch7x7x3_4_(branch7x7x3_3_(branch7x7x3_2_(branch7x7x3_1_(x))));
  return at::cat({branch3x3_2_(branch3x3_1_(x)), wide, halving_pool(x)}, 1);
}

InceptionEImpl::InceptionEImpl(int64_t in, InceptionPool pool, const InceptionEWidths& w)
    : pool_(pool),
      branch1x1_(register_module("branch1x1", BasicConv2d(in, w.b1, 1))),
      branch3x3_1_(register_module("branch3x3_1", BasicConv2d(in, w.b3, 1))),
      branch3x3_2a_(register_module("branch3x3_2a", BasicConv2d(w.b3, w.b3, Extent{1, 3}, Extent{0, 1}))),
      branch3x3_2b_(register_module("branch3x3_2b", BasicConv2d(w.b3, w.b3, Extent{3, 1}, Extent{1, 0}))),
      branch3x3dbl_1_(register_module("branch3x3dbl_1", BasicConv2d(in, w.d1, 1))),
      branch3x3dbl_2_(register_module("branch3x3dbl_2", BasicConv2d(w.d1, w.b3, 3, 1))),
      branch3x3dbl_3a_(register_module("branch3x3dbl_3a", BasicConv2d(w.b3, w.b3, Extent{1, 3}, Extent{0, 1}))),
      branch3x3dbl_3b_(register_module("branch3x3dbl_3b", BasicConv2d(w.b3, w.b3, Extent{3, 1}, Extent{1, 0}))),
      branch_pool_(register_module("branch_pool", BasicConv2d(in, w.pool, 1))) {}

Tensor InceptionEImpl::forward(const Tensor& x) {
  const Tensor single = branch3x3_1_(x);                     // [N, b3, H, W]
  const Tensor twice = branch3x3dbl_2_(branch3x3dbl_1_(x));  // [N, b3, H, W]
  const Tensor pooled = pool_ == InceptionPool::kAverage ? average_pool(x) : at::max_pool2d(x, {3, 3}, {1, 1}, {1, 1});
  return at::cat({branch1x1_(x), branch3x3_2a_(single), branch3x3_2b_(single), branch3x3dbl_3a_(twice),
                  branch3x3dbl_3b_(twice), branch_pool_(pooled)},
                 1);
}

}  // namespace sdg::vision
