#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/whole_number.h"
#include "sdg/model/autoencoder_kl.h"
#include "sdg/model/find_network.h"

namespace sdg::model {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

// Parts of a name, split at the dots, that have another name today. LDM's attention norm is plain `norm`.
constexpr std::array kLdmParts = {
    Pair{"nin_shortcut", "conv_shortcut"},
    Pair{"norm_out", "conv_norm_out"},
};
constexpr std::array kAttentionParts = {
    Pair{"norm", "group_norm"},    Pair{"q", "to_q"},     Pair{"k", "to_k"},   Pair{"v", "to_v"},
    Pair{"proj_out", "to_out.0"},  Pair{"query", "to_q"}, Pair{"key", "to_k"}, Pair{"value", "to_v"},
    Pair{"proj_attn", "to_out.0"},
};

template <size_t n>
std::string renamed(const std::array<Pair, n>& table, const std::string& part) {
  const auto* found = std::find_if(table.begin(), table.end(), [&](const Pair& row) { return row.first == part; });
  return found == table.end() ? part : std::string(found->second);
}

std::vector<std::string> split(const std::string& name) {
  std::vector<std::string> parts(1);
  for (const char c : name) {
    if (c == '.') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string join(const std::vector<std::string>& parts, size_t first) {
  std::string out;
  for (size_t i = first; i < parts.size(); ++i) out += "." + parts[i];
  return out;
}

int64_t number(const std::string& text) {
  return whole_number(text).value_or(-1);
}

// half.{down,up}.i.{block,attn}.j.rest and half.{down,up}.i.{downsample,upsample}.conv.rest
std::string level_name(const std::vector<std::string>& parts, int64_t levels) {
  const bool up = parts[1] == "up";
  // LDM counts the decoder's levels from the highest resolution, diffusers in the order of computation.
  const int64_t level = up ? levels - 1 - number(parts[2]) : number(parts[2]);
  const std::string start = cat(parts[0], up ? ".up_blocks." : ".down_blocks.", level);
  if (parts[3] == "block") {
    auto rest = parts;
    rest[5] = renamed(kLdmParts, rest[5]);
    return cat(start, ".resnets.", parts[4], join(rest, 5));
  }
  if (parts[3] == "attn")
    return cat(start, ".attentions.", parts[4], ".", renamed(kAttentionParts, parts[5]), join(parts, 6));
  return cat(start, up ? ".upsamplers.0" : ".downsamplers.0", join(parts, 4));
}

std::string canonical(const std::string& name, int64_t levels) {
  auto parts = split(name);
  const bool half = parts.size() > 2 && (parts[0] == "encoder" || parts[0] == "decoder");
  if (!half) return name;
  if ((parts[1] == "down" || parts[1] == "up") && parts.size() > 5 && number(parts[2]) >= 0)
    return level_name(parts, levels);
  if (parts[1] == "mid" && parts.size() > 4) {
    if (parts[2] == "attn_1")
      return cat(parts[0], ".mid_block.attentions.0.", renamed(kAttentionParts, parts[3]), join(parts, 4));
    return cat(parts[0], ".mid_block.resnets.", parts[2] == "block_1" ? "0" : "1", join(parts, 3));
  }
  if (parts[1] == "mid_block" && parts.size() > 5 && parts[2] == "attentions")
    return cat(parts[0], ".mid_block.attentions.", parts[3], ".", renamed(kAttentionParts, parts[4]), join(parts, 5));
  const bool of_level = parts[1] == "down_blocks" || parts[1] == "up_blocks";
  if (of_level && parts.size() > 6 && parts[3] == "attentions") {
    return cat(parts[0], ".", parts[1], ".", parts[2], ".attentions.", parts[4], ".",
               renamed(kAttentionParts, parts[5]), join(parts, 6));
  }
  parts[1] = renamed(kLdmParts, parts[1]);
  return parts[0] + join(parts, 1);
}

bool belongs(const std::string& name) {
  for (const std::string_view start : {"encoder.", "decoder.", "quant_conv.", "post_quant_conv."}) {
    if (name.starts_with(start)) return true;
  }
  return false;
}

// The autoencoder's own tensors, without what a whole checkpoint puts before their names.
std::map<std::string, Tensor> own_tensors(const std::map<std::string, Tensor>& weights) {
  const auto found = find_network(weights, {"encoder.conv_in.weight", "decoder.conv_in.weight"});
  std::map<std::string, Tensor> out;
  for (const auto& [name, tensor] : found.tensors)
    if (belongs(name)) out[name] = tensor;
  return out;
}

}  // namespace

std::map<std::string, Tensor> kl_canonical_names(const std::map<std::string, Tensor>& weights) {
  const auto own = own_tensors(weights);
  int64_t levels = 0;
  for (const auto& [name, tensor] : own) {
    const auto parts = split(name);
    if (parts.size() > 3 && parts[0] == "decoder" && parts[1] == "up") levels = std::max(levels, number(parts[2]) + 1);
  }
  std::map<std::string, Tensor> out;
  for (const auto& [name, tensor] : own) {
    const auto key = canonical(name, levels);
    const bool one_by_one = tensor.dim() == 4 && tensor.size(2) == 1 && tensor.size(3) == 1;
    out[key] = one_by_one && key.find(".attentions.") != std::string::npos ? tensor.flatten(1) : tensor;
  }
  return out;
}

bool is_kl(const std::map<std::string, Tensor>& weights) {
  const auto own = own_tensors(weights);
  return own.contains("encoder.conv_in.weight") || own.contains("decoder.conv_in.weight");
}

}  // namespace sdg::model
