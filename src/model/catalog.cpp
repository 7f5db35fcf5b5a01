#include "sdg/model/catalog.h"

#include <algorithm>
#include <utility>

#include "sdg/config/suggest.h"
#include "sdg/core/error.h"
#include "sdg/model/dit.h"
#include "sdg/model/uvit.h"

namespace sdg::model {
namespace {

struct Size {
  const char* name;
  int64_t dim, depth, heads;
  std::vector<int64_t> patches;
  bool conv = true;
};

// Sizes of Bao et al. 2023 (tables 1 and 7 of the code's configs), and of Peebles and Xie 2023; tiny and mini are ours,
// for CPUs.
const std::vector<Size> kUViTSizes = {
    {"tiny", 64, 5, 4, {2, 4}}, {"mini", 128, 7, 4, {2, 4}}, {"S", 512, 12, 8, {2, 4}},
    {"M", 768, 16, 12, {2, 4}}, {"L", 1024, 20, 16, {2, 4}}, {"H", 1152, 28, 16, {2, 4}, false},
};
const std::vector<Size> kDiTSizes = {
    {"tiny", 64, 3, 4, {2, 4}},     {"S", 384, 12, 6, {2, 4, 8}},    {"B", 768, 12, 12, {2, 4, 8}},
    {"L", 1024, 24, 16, {2, 4, 8}}, {"XL", 1152, 28, 16, {2, 4, 8}},
};

std::vector<Preset> make_presets() {
  std::vector<Preset> rows;
  const auto add = [&](const std::string& family, const std::vector<Size>& sizes) {
    for (const auto& size : sizes)
      for (const auto patch : size.patches)
        rows.push_back(
            {cat(family, "-", size.name, "/", patch), family, size.dim, size.depth, size.heads, patch, size.conv});
  };
  add("uvit", kUViTSizes);
  add("dit", kDiTSizes);
  add("sit", kDiTSizes);
  return rows;
}

int64_t or_preset(int64_t option, int64_t preset) {
  return option > 0 ? option : preset;
}

UViTLayout layout_of(const std::string& name, ConditionKind condition) {
  if (name == "baofff") return UViTLayout::kBaofff;
  if (name == "sgfm_patch" || condition == ConditionKind::kPatchVector) return UViTLayout::kSgfmPatch;
  return UViTLayout::kSgfm;
}

}  // namespace

const std::vector<Preset>& presets() {
  static const std::vector<Preset> rows = make_presets();
  return rows;
}

const Preset& find_preset(const std::string& name) {
  const auto& rows = presets();
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Preset& row) { return row.name == name; });
  if (found != rows.end()) return *found;
  std::vector<std::pair<int64_t, std::string>> nearest;
  for (const auto& row : rows) nearest.emplace_back(config::edit_distance(row.name, name), row.name);
  std::stable_sort(nearest.begin(), nearest.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  throw UsageError(cat("model.name: no preset is called \"", name, "\"; did you mean ", nearest[0].second, ", ",
                       nearest[1].second, " or ", nearest[2].second, "?"));
}

std::shared_ptr<VelocityModel> build(const ModelOptions& options, const ModelShape& shape, uint64_t seed,
                                     const at::Device& device) {
  const auto& preset = find_preset(options.name);
  const auto fill = [&](auto network) {
    network.size = shape.size;
    network.channels = shape.channels;
    network.patch = or_preset(options.patch, preset.patch);
    network.dim = or_preset(options.dim, preset.dim);
    network.depth = or_preset(options.depth, preset.depth);
    network.heads = or_preset(options.heads, preset.heads);
    network.condition = parse_condition_kind(shape.condition);
    network.classes = shape.classes;
    network.null_label = options.null_label;
    if (options.mlp_ratio > 0) network.mlp_ratio = options.mlp_ratio;
    if (options.time_scale > 0) network.time_scale = options.time_scale;
    network.activation_checkpointing = options.activation_checkpointing;
    SDG_CHECK_USAGE(shape.size % network.patch == 0, "model ", options.name, ": images of side ", shape.size,
                    " cannot be cut into patches of ", network.patch, "; set model.patch to a divisor");
    return network;
  };
  const auto finish = [&](auto net) -> std::shared_ptr<VelocityModel> {
    initialize(*net, seed);
    return net.ptr();
  };
  const auto where = at::TensorOptions(device).dtype(at::kFloat);
  if (preset.family == "uvit") {
    auto network = fill(UViTOptions{});
    network.conv = preset.conv;
    network.layout = layout_of(options.layout, network.condition);
    network.mlp_time_embed = options.mlp_time_embed;
    network.qkv_bias = options.qkv_bias;
    return finish(UViT(network, where));
  }
  auto network = fill(DiTOptions{});
  if (options.time_scale == 0) network.time_scale = preset.family == "dit" ? 1000 : 1;
  network.learn_sigma = options.learn_sigma;
  return finish(DiT(network, where));
}

}  // namespace sdg::model
