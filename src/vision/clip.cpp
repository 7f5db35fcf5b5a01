#include "sdg/vision/clip.h"

#include <algorithm>
#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/image/resize.h"
#include "sdg/nn/patch.h"
#include "sdg/vision/load_weights.h"

namespace sdg::vision {
namespace {
constexpr double kEps = 1e-5;

Tensor quick_gelu(const Tensor& x) {
  return x * at::sigmoid(1.702 * x);
}
}  // namespace

ClipImageTowerImpl::ClipImageTowerImpl(const ClipShape& shape) : shape_(shape) {
  patch_weight_ = register_parameter("patch_weight", at::zeros({shape.dim, 3, shape.patch, shape.patch}));
  cls_token_ = register_parameter("cls_token", at::zeros({shape.dim}));
  pos_embed_ = register_parameter("pos_embed", at::zeros({shape.side * shape.side + 1, shape.dim}));
  norm_pre_ = register_module("norm_pre", nn::LayerNorm(shape.dim, kEps));
  auto& scope = nn::add_scope(*this, "blocks");
  for (int64_t i = 0; i < shape.depth; ++i) {
    auto& own = nn::add_scope(scope, std::to_string(i));
    auto& mlp = nn::add_scope(own, "mlp");
    blocks_.push_back({.norm1 = own.register_module("norm1", nn::LayerNorm(shape.dim, kEps)),
                       .norm2 = own.register_module("norm2", nn::LayerNorm(shape.dim, kEps)),
                       .attn = own.register_module("attn", nn::Attention(shape.dim, shape.heads, /*qkv_bias=*/true)),
                       .fc1 = mlp.register_module("fc1", nn::Linear(shape.dim, shape.hidden)),
                       .fc2 = mlp.register_module("fc2", nn::Linear(shape.hidden, shape.dim))});
  }
  norm_ = register_module("norm", nn::LayerNorm(shape.dim, kEps));
  projection_ = register_module("projection", nn::Linear(shape.dim, shape.embedding, /*with_bias=*/false));
  eval();
}

Tensor ClipImageTowerImpl::forward(const Tensor& x) const {
  const int64_t size = shape_.side * shape_.patch;
  check_shape(x, {-1, 3, size, size}, "clip: input");
  const auto patches = nn::patchify(x, shape_.patch).matmul(patch_weight_.flatten(1).t());  // [N, L, D]
  Tensor h = at::cat({cls_token_.expand({x.size(0), 1, -1}), patches}, 1) + pos_embed_;     // [N, T, D]
  h = norm_pre_->forward(h);
  for (const auto& block : blocks_) {
    h = h + block.attn->forward(block.norm1->forward(h));
    h = h + block.fc2->forward(quick_gelu(block.fc1->forward(block.norm2->forward(h))));  // [N, T, D]
  }
  return projection_->forward(norm_->forward(h.select(1, 0)));  // [N, E]
}

void ClipImageTowerImpl::load_state(const std::map<std::string, Tensor>& weights, const std::string& where) {
  load_weights(*this, weights, where);
}

ClipShape clip_shape(const std::map<std::string, Tensor>& weights, const std::string& where, int64_t heads) {
  const auto needed = [&](const std::string& name, int64_t dimensions) {
    const auto found = weights.find(name);
    SDG_CHECK(found != weights.end() && found->second.dim() == dimensions, where, ": expected a tensor ", name, " of ",
              dimensions, " dimensions, found ", found == weights.end() ? "none" : "another");
    return found->second;
  };
  ClipShape shape;
  const auto patch = needed("patch_weight", 4), position = needed("pos_embed", 2);
  shape.dim = patch.size(0);
  shape.patch = patch.size(2);
  shape.hidden = needed("blocks.0.mlp.fc1.weight", 2).size(0);
  shape.embedding = needed("projection.weight", 2).size(0);
  while (weights.count(cat("blocks.", shape.depth, ".norm1.weight"))) ++shape.depth;
  shape.heads = heads > 0 ? heads : shape.dim / 64;
  SDG_CHECK(shape.heads > 0 && shape.dim % shape.heads == 0, where, ": ", shape.heads,
            " heads do not divide the width ", shape.dim);
  shape.side = std::llround(std::sqrt(static_cast<double>(position.size(0) - 1)));
  SDG_CHECK(shape.side * shape.side + 1 == position.size(0), where, ": pos_embed ", to_string(position.sizes()),
            " is of no square grid");
  return shape;
}

Tensor clip_input(const Tensor& images, int64_t size) {
  check_shape(images, {-1, 3, -1, -1}, "clip: images");
  const int64_t height = images.size(2), width = images.size(3), shorter = std::min(height, width);
  // torchvision's Resize cuts the longer side's fraction off, its CenterCrop rounds halves to even.
  const int64_t rows = size * height / shorter, columns = size * width / shorter;
  const auto middle = [&](int64_t side) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(side - size) / 2));
  };
  std::vector<Tensor> out;
  for (const auto& one : images.cpu().unbind(0)) {
    const auto resized = image::resize(one.contiguous(), rows, columns);
    out.push_back(resized.narrow(1, middle(rows), size).narrow(2, middle(columns), size));
  }
  const Tensor x = at::stack(out).to(images.device(), at::kFloat) / 255;
  const Tensor mean = at::tensor({0.48145466F, 0.4578275F, 0.40821073F}, x.options()).view({3, 1, 1});
  const Tensor deviation = at::tensor({0.26862954F, 0.26130258F, 0.27577711F}, x.options()).view({3, 1, 1});
  return (x - mean) / deviation;
}

}  // namespace sdg::vision
