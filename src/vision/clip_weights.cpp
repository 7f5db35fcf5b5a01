#include <utility>

#include "sdg/vision/clip.h"
#include "vision/join_attention_impl.h"
#include "vision/renames_impl.h"

namespace sdg::vision {
namespace {

// The names of OpenAI's code and of Hugging Face's, part by part.
std::string own_name(std::string name) {
  static const Renames parts =
      renames({{"^visual\\.", ""},
               {"^vision_model\\.", ""},
               {"^(embeddings\\.)?class_embedding$", "cls_token"},
               {"^positional_embedding$|^embeddings\\.position_embedding\\.weight$", "pos_embed"},
               {"^conv1\\.weight$|^embeddings\\.patch_embedding\\.weight$", "patch_weight"},
               {"^(ln_pre|pre_layrnorm)\\.", "norm_pre."},  // Hugging Face's own spelling
               {"^(ln_post|post_layernorm)\\.", "norm."},
               {"^visual_projection\\.", "projection."},
               {"^(transformer\\.resblocks|encoder\\.layers)\\.", "blocks."},
               {"\\.(ln_|layer_norm)([12])\\.", ".norm$2."},
               {"\\.attn\\.in_proj_(weight|bias)$", ".attn.qkv.$1"},
               {"\\.(attn|self_attn)\\.out_proj\\.", ".attn.proj."},
               {"\\.self_attn\\.([qkv])_proj\\.", ".attn.$1."},
               {"\\.mlp\\.c_fc\\.", ".mlp.fc1."},
               {"\\.mlp\\.c_proj\\.", ".mlp.fc2."}});
  return renamed(std::move(name), parts);
}

// Of the whole model's tensors, those of the image tower; a file may hold it alone.
bool is_of_images(const std::string& name, bool whole_model) {
  if (name.ends_with("position_ids")) return false;
  return !whole_model || name.starts_with("visual.") || name.starts_with("vision_model.") ||
         name.starts_with("visual_projection.");
}

}  // namespace

std::map<std::string, Tensor> clip_weights(const std::map<std::string, Tensor>& weights) {
  bool whole_model = false;
  for (const auto& [name, unused] : weights)
    whole_model |= name.starts_with("visual.") || name.starts_with("vision_model.");
  std::map<std::string, Tensor> out;
  for (const auto& [name, tensor] : weights) {
    if (!is_of_images(name, whole_model)) continue;
    // OpenAI's projection is a matrix that stands on the right.
    if (name == "proj" || name == "visual.proj") {
      out["projection.weight"] = tensor.t();
    } else {
      out[own_name(name)] = tensor;
    }
  }
  join_query_key_value(out, {"q", "k", "v"});
  return out;
}

}  // namespace sdg::vision
