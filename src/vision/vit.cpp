#include "sdg/vision/vit.h"

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/image/resize.h"
#include "sdg/vision/load_weights.h"

namespace sdg::vision {
namespace {
constexpr double kEps = 1e-6;
constexpr double kOffset = 0.1;
}  // namespace

VitBlockImpl::VitBlockImpl(const VitShape& shape)
    : norm1_(register_module("norm1", nn::LayerNorm(shape.dim, kEps))),
      norm2_(register_module("norm2", nn::LayerNorm(shape.dim, kEps))),
      attn_(register_module("attn", nn::Attention(shape.dim, shape.heads, /*qkv_bias=*/true))),
      mlp_(register_module("mlp", nn::Mlp(shape.dim, shape.hidden, nn::Gelu::kErf))) {
  if (!shape.layer_scale) return;
  gamma1_ = nn::add_scope(*this, "ls1").register_parameter("gamma", at::ones({shape.dim}));
  gamma2_ = nn::add_scope(*this, "ls2").register_parameter("gamma", at::ones({shape.dim}));
}

Tensor VitBlockImpl::forward(const Tensor& x) const {
  Tensor branch = attn_->forward(norm1_->forward(x));  // [N, T, D]
  const Tensor h = x + (gamma1_.defined() ? branch * gamma1_ : branch);
  branch = mlp_->forward(norm2_->forward(h));
  return h + (gamma2_.defined() ? branch * gamma2_ : branch);
}

Tensor VitBlockImpl::keys(const Tensor& x) const {
  return attn_->qkv->forward(norm1_->forward(x)).chunk(3, 2)[1];  // [N, T, D]
}

VitImpl::VitImpl(const VitShape& shape)
    : shape_(shape), patch_embed_(register_module("patch_embed", nn::PatchEmbed(3, shape.patch, shape.dim))) {
  cls_token_ = register_parameter("cls_token", at::zeros({1, 1, shape.dim}));
  pos_embed_ = register_parameter("pos_embed", at::zeros({1, shape.positions, shape.dim}));
  if (shape.registers > 0)
    registers_ = register_parameter("register_tokens", at::zeros({1, shape.registers, shape.dim}));
  auto& scope = nn::add_scope(*this, "blocks");
  for (int64_t i = 0; i < shape.depth; ++i)
    blocks_.push_back(scope.register_module(std::to_string(i), VitBlock(shape)));
  norm_ = register_module(shape.pooled_norm ? "fc_norm" : "norm", nn::LayerNorm(shape.dim, kEps));
  eval();
}

Tensor VitImpl::positions(int64_t rows, int64_t columns) const {
  const int64_t own_class = shape_.class_position ? 1 : 0;
  const auto side = std::llround(std::sqrt(static_cast<double>(shape_.positions - own_class)));
  if (rows == side && columns == side) return pos_embed_;
  const Tensor grid =
      pos_embed_.slice(1, own_class).view({1, side, side, shape_.dim}).permute({0, 3, 1, 2});  // [1, D, side, side]
  const auto factor = [&](int64_t n) { return (static_cast<double>(n) + kOffset) / static_cast<double>(side); };
  const Tensor resized =
      shape_.resize == PositionResize::kAntialiased
          ? at::_upsample_bicubic2d_aa(grid, {rows, columns}, /*align_corners=*/false)
          : at::upsample_bicubic2d(grid, {rows, columns}, /*align_corners=*/false, factor(rows), factor(columns));
  return at::cat({pos_embed_.slice(1, 0, own_class), resized.permute({0, 2, 3, 1}).flatten(1, 2)}, 1);
}

Tensor VitImpl::embed(const Tensor& x) const {
  check_shape(x, {-1, 3, -1, -1}, "vit: input");
  const auto rows = x.size(2) / shape_.patch, columns = x.size(3) / shape_.patch;
  SDG_CHECK(rows * shape_.patch == x.size(2) && columns * shape_.patch == x.size(3),
            "vit: the input's sides must be multiples of ", shape_.patch, ", got ", x.size(2), "x", x.size(3));
  const Tensor position = positions(rows, columns);  // [1, L (+ 1), D]
  const Tensor cls = cls_token_.expand({x.size(0), -1, -1});
  Tensor h = patch_embed_->forward(x);  // [N, L, D]
  h = shape_.class_position ? at::cat({cls, h}, 1) + position : at::cat({cls, h + position}, 1);
  if (registers_.defined()) h = at::cat({h.slice(1, 0, 1), registers_.expand({x.size(0), -1, -1}), h.slice(1, 1)}, 1);
  return h;
}

VitTokens VitImpl::forward(const Tensor& x) const {
  Tensor h = embed(x);
  for (const auto& block : blocks_) h = block->forward(h);  // [N, T, D]
  if (!shape_.pooled_norm) h = norm_->forward(h);
  return {h.select(1, 0), h.slice(1, 1 + shape_.registers), h.slice(1, 1, 1 + shape_.registers)};
}

Tensor VitImpl::keys(const Tensor& x) const {
  Tensor h = embed(x);
  for (size_t i = 0; i + 1 < blocks_.size(); ++i) h = blocks_[i]->forward(h);
  return blocks_.back()->keys(h).slice(1, 1 + shape_.registers);  // [N, L, D]
}

Tensor VitImpl::features(const Tensor& x) const {
  const auto out = forward(x);
  return shape_.pooled_norm ? norm_->forward(out.patches.mean(1)) : out.cls;
}

void VitImpl::load_state(const std::map<std::string, Tensor>& weights, const std::string& where) {
  load_weights(*this, weights, where);
}

namespace {

Tensor normalised(const Tensor& bytes) {
  const Tensor x = bytes.to(at::kFloat) / 255;
  const Tensor mean = at::tensor({0.485F, 0.456F, 0.406F}, x.options()).view({3, 1, 1});
  const Tensor deviation = at::tensor({0.229F, 0.224F, 0.225F}, x.options()).view({3, 1, 1});
  return (x - mean) / deviation;
}

}  // namespace

Tensor vit_input_in_floats(const Tensor& images, int64_t size) {
  check_shape(images, {-1, 3, -1, -1}, "vit: images");
  const Tensor x = normalised(images);
  return x.size(2) == size && x.size(3) == size ? x : at::upsample_bicubic2d(x, {size, size}, /*align_corners=*/false);
}

Tensor vit_input(const Tensor& images, int64_t size) {
  check_shape(images, {-1, 3, -1, -1}, "vit: images");
  std::vector<Tensor> resized;
  for (const auto& one : images.cpu().unbind(0)) resized.push_back(image::resize(one.contiguous(), size, size));
  return normalised(at::stack(resized).to(images.device()));
}

}  // namespace sdg::vision
