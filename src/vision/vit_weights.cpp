#include <cmath>
#include <utility>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/vision/vit.h"
#include "vision/join_attention_impl.h"
#include "vision/renames_impl.h"

namespace sdg::vision {
namespace {

// Hugging Face's names, part by part.
std::string own_name(std::string name) {
  static const Renames parts = renames({{"^(vit|dinov2|dinov2_with_registers|backbone)\\.", ""},
                                        {"^embeddings\\.(cls_token|register_tokens|mask_token)$", "$1"},
                                        {"^embeddings\\.position_embeddings$", "pos_embed"},
                                        {"^embeddings\\.patch_embeddings\\.projection\\.", "patch_embed.proj."},
                                        {"^encoder\\.layer\\.", "blocks."},
                                        {"\\.layernorm_before\\.", ".norm1."},
                                        {"\\.layernorm_after\\.", ".norm2."},
                                        {"\\.attention\\.attention\\.(query|key|value)\\.", ".attn.$1."},
                                        {"\\.attention\\.output\\.dense\\.", ".attn.proj."},
                                        {"\\.intermediate\\.dense\\.", ".mlp.fc1."},
                                        {"(blocks\\.[0-9]+)\\.output\\.dense\\.", "$1.mlp.fc2."},
                                        {"\\.layer_scale([12])\\.lambda1$", ".ls$1.gamma"},
                                        {"^layernorm\\.", "norm."},
                                        {"^reg_token$", "register_tokens"}});
  return renamed(std::move(name), parts);
}

bool without_effect(const std::string& name) {
  return name == "mask_token" || name.starts_with("pooler.") || name.starts_with("head.") ||
         name.starts_with("classifier.") || name.starts_with("linear_head.");
}

}  // namespace

std::map<std::string, Tensor> vit_weights(const std::map<std::string, Tensor>& weights) {
  std::map<std::string, Tensor> out;
  for (const auto& [name, tensor] : weights) {
    const auto own = own_name(name);
    if (!without_effect(own)) out[own] = tensor;
  }
  join_query_key_value(out, {"query", "key", "value"});
  return out;
}

VitShape vit_shape(const std::map<std::string, Tensor>& weights, const std::string& where, int64_t heads,
                   PositionResize resize) {
  const auto needed = [&](const std::string& name, int64_t dimensions) {
    const auto found = weights.find(name);
    SDG_CHECK(found != weights.end() && found->second.dim() == dimensions, where, ": expected a tensor ", name, " of ",
              dimensions, " dimensions, found ", found == weights.end() ? "none" : "another");
    return found->second;
  };
  VitShape shape;
  const auto proj = needed("patch_embed.proj.weight", 4), position = needed("pos_embed", 3);
  shape.dim = proj.size(0);
  shape.patch = proj.size(2);
  shape.hidden = needed("blocks.0.mlp.fc1.weight", 2).size(0);
  while (weights.count(cat("blocks.", shape.depth, ".norm1.weight"))) ++shape.depth;
  shape.heads = heads > 0 ? heads : shape.dim / 64;
  SDG_CHECK(shape.heads > 0 && shape.dim % shape.heads == 0, where, ": ", shape.heads,
            " heads do not divide the width ", shape.dim);
  shape.positions = position.size(1);
  const auto square = [](int64_t n) {
    const auto side = std::llround(std::sqrt(static_cast<double>(n)));
    return side * side == n;
  };
  shape.class_position = square(shape.positions - 1);
  SDG_CHECK(shape.class_position || square(shape.positions), where, ": pos_embed ", to_string(position.sizes()),
            " is of no square grid");
  if (const auto found = weights.find("register_tokens"); found != weights.end())
    shape.registers = found->second.size(1);
  shape.layer_scale = weights.count("blocks.0.ls1.gamma") > 0;
  shape.pooled_norm = weights.count("fc_norm.weight") > 0;
  shape.resize = resize;
  return shape;
}

}  // namespace sdg::vision
