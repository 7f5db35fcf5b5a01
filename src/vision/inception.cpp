#include "sdg/vision/inception.h"

#include "sdg/core/shape.h"
#include "sdg/vision/load_weights.h"
#include "sdg/vision/resize.h"

namespace sdg::vision {
namespace {
constexpr int64_t kSize = 299;
constexpr int64_t kSpatialChannels = 7;

InceptionAWidths a_widths(int64_t pool) {
  InceptionAWidths w;
  w.pool = pool;
  return w;
}
Tensor spatial_mean(const Tensor& x) {
  return x.to(at::kFloat).mean({2, 3});
}  // [N, C]
// [N, 7, H, W], the first channels
Tensor first_channels(const Tensor& x) {
  return x.narrow(1, 0, kSpatialChannels).to(at::kFloat);
}
Tensor flat(const Tensor& x) {
  return x.contiguous(at::MemoryFormat::Contiguous).flatten(1);
}
}  // namespace

FidInceptionImpl::FidInceptionImpl()
    : conv_1a_(register_module("Conv2d_1a_3x3", BasicConv2d(3, 32, 3, 0, 2))),
      conv_2a_(register_module("Conv2d_2a_3x3", BasicConv2d(32, 32, 3))),
      conv_2b_(register_module("Conv2d_2b_3x3", BasicConv2d(32, 64, 3, 1))),
      conv_3b_(register_module("Conv2d_3b_1x1", BasicConv2d(64, 80, 1))),
      conv_4a_(register_module("Conv2d_4a_3x3", BasicConv2d(80, 192, 3))),
      mixed_5b_(register_module("Mixed_5b", InceptionA(192, a_widths(32)))),
      mixed_5c_(register_module("Mixed_5c", InceptionA(256, a_widths(64)))),
      mixed_5d_(register_module("Mixed_5d", InceptionA(288, a_widths(64)))),
      mixed_6a_(register_module("Mixed_6a", InceptionB(288))),
      mixed_6b_(register_module("Mixed_6b", InceptionC(768, InceptionCWidths{128, 192}))),
      mixed_6c_(register_module("Mixed_6c", InceptionC(768, InceptionCWidths{160, 192}))),
      mixed_6d_(register_module("Mixed_6d", InceptionC(768, InceptionCWidths{160, 192}))),
      mixed_6e_(register_module("Mixed_6e", InceptionC(768, InceptionCWidths{192, 192}))),
      mixed_7a_(register_module("Mixed_7a", InceptionD(768))),
      mixed_7b_(register_module("Mixed_7b", InceptionE(1280, InceptionPool::kAverage))),
      mixed_7c_(register_module("Mixed_7c", InceptionE(2048, InceptionPool::kMaximum))),
      fc_(register_module("fc", torch::nn::Linear(2048, 1008))) {
  eval();
}

InceptionFeatures FidInceptionImpl::forward(const Tensor& x) {
  check_shape(x, {-1, 3, kSize, kSize}, "inception: input");
  InceptionFeatures out;
  Tensor h = folded_ ? x.to(type_).contiguous(at::MemoryFormat::ChannelsLast) : x;
  h = conv_2b_(conv_2a_(conv_1a_(h)));    // [N, 64, 147, 147]
  h = at::max_pool2d(h, {3, 3}, {2, 2});  // [N, 64, 73, 73]
  out.f64 = spatial_mean(h);
  h = at::max_pool2d(conv_4a_(conv_3b_(h)), {3, 3}, {2, 2});  // [N, 192, 35, 35]
  out.f192 = spatial_mean(h);
  h = mixed_5d_(mixed_5c_(mixed_5b_(h)));             // [N, 288, 35, 35]
  h = mixed_6d_(mixed_6c_(mixed_6b_(mixed_6a_(h))));  // [N, 768, 17, 17]
  // The block's first channels are its branch1x1; TensorFlow's features have their channels last.
  out.spatial_adm = flat(first_channels(h).permute({0, 2, 3, 1}));  // [N, 17 * 17 * 7]
  h = mixed_6e_(h);                                                 // [N, 768, 17, 17]
  out.spatial = flat(first_channels(h));                            // [N, 7 * 17 * 17]
  out.f768 = spatial_mean(h);
  h = mixed_7c_(mixed_7b_(mixed_7a_(h)));  // [N, 2048, 8, 8]
  out.f2048 = spatial_mean(h);
  out.logits_unbiased = at::linear(out.f2048, fc_->weight);
  out.logits = out.logits_unbiased + fc_->bias;
  return out;
}

void FidInceptionImpl::load_state(const std::map<std::string, Tensor>& weights, const std::string& where) {
  load_weights(*this, weights, where, [](const std::string& name) { return name == "fc.weight" || name == "fc.bias"; });
}

void FidInceptionImpl::fold(at::ScalarType type) {
  for (const auto& module : modules(/*include_self=*/false)) {
    if (auto* conv = module->as<BasicConv2dImpl>()) conv->fold(type);
  }
  folded_ = true;
  type_ = type;
}

void FidInceptionImpl::pack(int64_t count) {
  const auto set = [&](bool on) {
    for (const auto& module : modules(/*include_self=*/false)) {
      if (auto* conv = module->as<BasicConv2dImpl>()) conv->set_packing(on);
    }
  };
  torch::NoGradGuard no_grad;
  set(true);
  forward(at::zeros({count, 3, kSize, kSize}));
  set(false);
}

Tensor inception_input_pytorch_fid(const Tensor& images) {
  check_shape(images, {-1, 3, -1, -1}, "inception: images");
  return resize_bilinear(images.to(at::kFloat) / 255, kSize, kSize) * 2 - 1;
}

Tensor inception_input_tf1(const Tensor& images) {
  check_shape(images, {-1, 3, -1, -1}, "inception: images");
  return (resize_bilinear_tf1(images.to(at::kFloat), kSize, kSize) - 128) / 128;
}

}  // namespace sdg::vision
