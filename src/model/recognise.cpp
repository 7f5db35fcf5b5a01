#include "sdg/model/recognise.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "model/recognise_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/model/catalog.h"
#include "sdg/nn/swiglu.h"

namespace sdg::model {
namespace {

int64_t side_of(int64_t tokens) {
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(std::max<int64_t>(tokens, 0)))));
  return side > 0 && side * side == tokens ? side : 0;
}

// One past the largest i for which prefix + i + "." begins a name.
int64_t block_count(const Tensors& tensors, const std::string& prefix) {
  int64_t count = 0;
  while (tensors.contains(cat(prefix, count, ".attn.qkv.weight"))) ++count;
  return count;
}

bool has_dims(const Tensors& tensors, const std::string& name, int64_t dims) {
  const auto found = tensors.find(name);
  return found != tensors.end() && found->second.dim() == dims && found->second.numel() > 0;
}

double ratio(const Tensors& tensors, const std::string& name, int64_t dim) {
  if (!has_dims(tensors, name, 2)) return 4;
  const auto hidden = tensors.at(name).size(0);
  double out = static_cast<double>(hidden) / static_cast<double>(dim);
  if (static_cast<int64_t>(out * static_cast<double>(dim)) < hidden)
    out = std::nextafter(out, 1e9);  // networks round down
  return out;
}

// The preset of that width, depth (equal up to `rounding`) and patch; else `fallback` with every number written out.
void choose_preset(Recognised& out, int64_t dim, int64_t depth, int64_t patch, int64_t rounding, bool conv) {
  const auto agrees = [&](const Preset& row) {
    return row.family == out.family && row.dim == dim && row.depth / rounding == depth / rounding && row.conv == conv;
  };
  const auto& rows = presets();
  auto found =
      std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return agrees(row) && row.patch == patch; });
  if (found != rows.end()) {
    out.options.name = found->name;
    return;
  }
  out.options.patch = patch;
  found = std::find_if(rows.begin(), rows.end(), agrees);
  if (found != rows.end()) {
    out.options.name = found->name;
    return;
  }
  found = std::find_if(rows.begin(), rows.end(),
                       [&](const auto& row) { return row.family == out.family && row.conv == conv; });
  out.options.name = found->name;
  out.options.dim = dim;
  out.options.depth = depth;
  out.heads_known = false;
}

void read_head(Recognised& out, const Tensors& tensors) {
  if (!has_dims(tensors, "prototypes.weight", 2) || !has_dims(tensors, "projection_head.0.weight", 2)) return;
  const auto first = tensors.at("projection_head.0.weight");
  out.head = {tensors.at("prototypes.weight").size(0), first.size(0), first.size(1),
              tensors.contains("feature_norm.running_mean"), tensors.contains("members.sum")};
}

void predict_noise(Recognised& out, flow::Path path) {
  out.prediction = out.options.prediction = flow::Target::kNoise;
  out.options.path = path;
}

// What guidance learned in training adds (guided.inner, guided.learn). Tensors do not say after which block the inner
// head stands: any has these shapes.
void read_guided(Recognised& out, const Tensors& tensors) {
  if (tensors.contains("inner_head.linear.weight")) out.shape.inner = 0;
  out.shape.strength = tensors.contains("strength_embed.0.weight");
}

// --- U-ViT

bool is_uvit(const Tensors& tensors) {
  return has_dims(tensors, "pos_embed", 3) && has_dims(tensors, "patch_embed.proj.weight", 4) &&
         has_dims(tensors, "decoder_pred.weight", 2) && has_dims(tensors, "mid_block.attn.qkv.weight", 2);
}

void read_uvit_tokens(Recognised& out, const Tensors& tensors) {
  const auto tokens = tensors.at("pos_embed").size(1);
  const bool sgfm = tensors.contains("cls_token"), labels = has_dims(tensors, "label_emb.weight", 2);
  const bool per_patch = sgfm && side_of(tokens - 2) > 0;
  const int64_t extra = sgfm ? (per_patch ? 2 : 3) : labels ? 2 : 1;
  out.shape.size = side_of(tokens - extra) * tensors.at("patch_embed.proj.weight").size(2);
  out.options.layout = !sgfm ? Layout::kBaofff : per_patch ? Layout::kSgfmPatch : Layout::kSgfm;
  if (labels) {
    out.shape.condition = ConditionKind::kIndex;
  } else if (tensors.contains("null_cfg_embed")) {
    out.shape.condition = per_patch ? ConditionKind::kPatchVector : ConditionKind::kVector;
  }
  if (out.shape.size == 0) {
    out.misshapen.push_back(cat("pos_embed ", to_string(tensors.at("pos_embed").sizes()), " instead of ", extra,
                                " tokens and a square grid"));
  }
  if (!sgfm) {
    // On pixels their time is continuous, 999 t, along the limit of DDPM's linear betas.
    const bool latents = tensors.at("patch_embed.proj.weight").size(1) == 4;
    predict_noise(out, latents ? flow::Path::kStableDiffusion : flow::Path::kLinear);
    out.notes.push_back(cat("Bao et al.'s networks predict noise; the betas were taken to be ",
                            config::name(out.options.path), " (model.path)"));
  }
}

// How blocks are made (nn/block_style.h), by one of them, and the hidden width of its MLP; norms of queries and rotary
// positions tell the heads.
void read_style(Recognised& out, const Tensors& tensors, const std::string& block) {
  auto& options = out.options;
  options.qk_norm = tensors.contains(block + "attn.q_norm.weight");
  options.rms_norm = tensors.contains(block + "norm1.weight") && !tensors.contains(block + "norm1.bias");
  options.swiglu = has_dims(tensors, block + "mlp.w12.weight", 2) && has_dims(tensors, block + "mlp.w3.weight", 2);
  options.rotary = tensors.contains("rotary");
  const auto width = options.qk_norm                  ? tensors.at(block + "attn.q_norm.weight").numel()
                     : has_dims(tensors, "rotary", 3) ? tensors.at("rotary").size(2)
                                                      : 0;  // of a head
  if (width > 0 && out.dim % width == 0) {
    options.heads = out.dim / width;
    out.heads_known = true;
  }
  if (options.swiglu) {
    const auto hidden = tensors.at(block + "mlp.w3.weight").size(1);
    if (hidden != nn::swiglu_hidden(4 * out.dim))
      options.mlp_ratio = 1.5 * static_cast<double>(hidden) / static_cast<double>(out.dim);
    return;
  }
  const auto mlp = ratio(tensors, block + "mlp.fc1.weight", out.dim);
  if (mlp != 4) options.mlp_ratio = mlp;
}

Recognised read_uvit(const Tensors& tensors) {
  Recognised out;
  out.family = "uvit";
  out.candidates = {"uvit"};
  const auto proj = tensors.at("patch_embed.proj.weight");
  const auto dim = proj.size(0), half = block_count(tensors, "in_blocks.");
  out.shape.channels = proj.size(1);
  out.dim = dim;
  choose_preset(out, dim, 2 * half, proj.size(2), 2, tensors.contains("final_layer.weight"));
  read_uvit_tokens(out, tensors);
  read_style(out, tensors, "mid_block.");
  out.options.qkv_bias = tensors.contains("mid_block.attn.qkv.bias");
  out.options.mlp_time_embed = tensors.contains("time_embed.0.weight");
  if (out.shape.condition == ConditionKind::kIndex) {
    const auto rows = tensors.at("label_emb.weight").size(0);
    out.options.null_label = rows > 1 && rows % 10 == 1;
    out.shape.classes = rows - (out.options.null_label ? 1 : 0);
    out.notes.push_back(cat("the ", rows, " rows of the label table were read as ", out.shape.classes, " classes ",
                            out.options.null_label ? "and" : "without", " a null label (model.null_label)"));
  }
  read_guided(out, tensors);
  read_head(out, tensors);
  return out;
}

// --- DiT and SiT

bool is_dit(const Tensors& tensors) {
  return has_dims(tensors, "pos_embed", 3) && has_dims(tensors, "x_embedder.proj.weight", 4) &&
         has_dims(tensors, "final_layer.linear.weight", 2) && has_dims(tensors, "blocks.0.attn.qkv.weight", 2) &&
         has_dims(tensors, "blocks.0.adaLN_modulation.1.weight", 2);
}

Recognised read_dit(const Tensors& tensors) {
  Recognised out;
  out.family = "dit";
  out.candidates = {"dit", "sit"};
  const auto proj = tensors.at("x_embedder.proj.weight");
  const auto dim = proj.size(0), patch = proj.size(2);
  out.shape.channels = proj.size(1);
  out.dim = dim;
  out.shape.size = side_of(tensors.at("pos_embed").size(1)) * patch;
  if (out.shape.size == 0) {
    out.misshapen.push_back(cat("pos_embed ", to_string(tensors.at("pos_embed").sizes()), " instead of a square grid"));
  }
  choose_preset(out, dim, block_count(tensors, "blocks."), patch, 1, true);
  read_style(out, tensors, "blocks.0.");
  out.options.learn_sigma = tensors.at("final_layer.linear.weight").size(0) == 2 * patch * patch * out.shape.channels;
  if (has_dims(tensors, "y_embedder.embedding_table.weight", 2)) {
    out.shape.condition = ConditionKind::kIndex;
    out.shape.classes = tensors.at("y_embedder.embedding_table.weight").size(0) - 1;
    if (out.shape.classes == 0) {
      out.shape.classes = 1;
      out.options.null_label = false;
    }
  } else if (tensors.contains("null_embed")) {
    out.shape.condition = ConditionKind::kVector;
  }
  read_guided(out, tensors);
  read_head(out, tensors);
  return out;
}

// The chosen one of several families with the same tensors.
void settle(Recognised& out, const std::string& family) {
  if (!family.empty()) {
    const bool possible = std::find(out.candidates.begin(), out.candidates.end(), family) != out.candidates.end();
    SDG_CHECK_USAGE(possible, "these tensors are of a ", out.candidates.front(), ", they cannot be of a ", family);
    out.candidates = {family};
    const auto slash = out.options.name.find('-');
    if (family != out.family) out.options.name = family + out.options.name.substr(slash);
    out.family = family;
  }
  if (out.candidates.size() > 1) out.notes.push_back("DiT and SiT have the same tensors: say which with --as");
  if (out.family == "dit") predict_noise(out, flow::Path::kLinear);
}

bool is_head_name(const std::string& name) {
  return std::any_of(head_names().begin(), head_names().end(),
                     [&](const auto& prefix) { return name.starts_with(prefix); });
}

void compare(Recognised& out, const Tensors& tensors) {
  if (out.shape.size <= 0) return;
  auto options = out.options;
  if (!out.heads_known) options.heads = 1;  // no shape depends on it
  Tensors expected;
  try {
    const auto network = build(options, out.shape, 0, at::kMeta);
    for (const auto& item : network->named_parameters()) expected.emplace(item.key(), item.value());
    for (const auto& item : network->named_buffers()) expected.emplace(item.key(), item.value());
  } catch (const Error& error) {
    out.misshapen.push_back(cat("no such network can be built: ", error.what()));
    return;
  }
  for (const auto& [name, tensor] : expected) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      out.missing.push_back(name);
    } else if (found->second.sizes() != tensor.sizes()) {
      out.misshapen.push_back(
          cat(name, " ", to_string(found->second.sizes()), " instead of ", to_string(tensor.sizes())));
    }
  }
  for (const auto& [name, tensor] : tensors)
    if (!expected.contains(name) && !(out.head && is_head_name(name)) && !is_projector_name(name))
      out.unexpected.push_back(name);
}

}  // namespace

const std::vector<Recogniser>& recognisers() {
  static const std::vector<Recogniser> rows = {
      {"U-ViT", is_uvit, read_uvit},
      {"DiT or SiT", is_dit, read_dit},
      {"ADM U-Net", is_adm, read_adm},
  };
  return rows;
}

const std::vector<std::string>& head_names() {
  static const std::vector<std::string> names = {"projection_head.", "prototypes.", "feature_norm.", "members."};
  return names;
}

bool is_projector_name(const std::string& name) {
  return name.starts_with("projector.");
}

bool is_inner_head_name(const std::string& name) {
  return name.starts_with("inner_head.");
}

bool is_strength_name(const std::string& name) {
  return name.starts_with("strength_embed.");
}

std::optional<Recognised> recognise(const Tensors& tensors, const std::string& family) {
  for (const auto& row : recognisers()) {
    if (!row.matches(tensors)) continue;
    auto out = row.read(tensors);
    settle(out, family);
    compare(out, tensors);
    return out;
  }
  return std::nullopt;
}

Tensor resize_positions(const Tensor& pos_embed, int64_t extra, int64_t side) {
  check_shape(pos_embed, {1, -1, -1}, "pos_embed");
  const auto old_side = side_of(pos_embed.size(1) - extra), dim = pos_embed.size(2);
  SDG_CHECK(old_side > 0, "pos_embed: ", pos_embed.size(1), " rows are not ", extra, " tokens and a square grid");
  const auto first = pos_embed.narrow(1, 0, extra);
  const auto grid = pos_embed.narrow(1, extra, old_side * old_side);
  const auto picture = grid.to(at::kFloat).view({1, old_side, old_side, dim}).permute({0, 3, 1, 2});  // [1, D, g, g]
  const auto resized = at::upsample_bilinear2d(picture.contiguous(), {side, side}, /*align_corners=*/false);
  const auto rows = resized.permute({0, 2, 3, 1}).reshape({1, side * side, dim}).to(pos_embed.scalar_type());
  return at::cat({first, rows}, 1);  // [1, E + side*side, D]
}

}  // namespace sdg::model
