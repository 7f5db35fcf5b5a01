#include "sdg/model/catalog.h"

#include <algorithm>
#include <utility>

#include "sdg/config/suggest.h"
#include "sdg/core/error.h"
#include "sdg/model/adm_unet.h"
#include "sdg/model/dit.h"
#include "sdg/model/sg_unet.h"
#include "sdg/model/uvit.h"

namespace sdg::model {
namespace {

struct Size {
  const char* name;
  int64_t dim, depth, heads;
  std::vector<int64_t> patches;
  bool conv = true;
};

// The sizes that are ours: no published run begins with them, so they may begin better.
nn::InitialValues initial_values(const std::string& size) {
  return size == "tiny" || size == "mini" ? nn::InitialValues::kFanIn : nn::InitialValues::kPublic;
}

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

Preset unet_row(const std::string& name, const std::string& family, const UNetOptions& unet,
                bool context_attention = false) {
  return {.name = name,
          .family = family,
          .dim = unet.width,
          .depth = unet.res_blocks,
          .heads = unet.head_channels > 0 ? 0 : unet.heads,
          .patch = 1,
          .unet = unet,
          .context_attention = context_attention};
}

// The flags in guided-diffusion's README; attention "32,16,8" of an image of side S stands at the factors S/32, S/16
// and S/8. adm-tiny and adm-mini are ours.
std::vector<Preset> adm_presets() {
  const UNetOptions at_256{
      .width = 256, .levels = {1, 1, 2, 2, 4, 4}, .res_blocks = 2, .attention_at = {8, 16, 32}, .head_channels = 64};
  auto at_512 = at_256, at_128 = at_256, at_64 = at_256, lsun = at_256, tiny = at_256, mini = at_256;
  at_512.levels = {0.5, 1, 1, 2, 2, 4, 4};
  at_512.attention_at = {16, 32, 64};
  at_128.levels = {1, 1, 2, 3, 4};
  at_128.attention_at = {4, 8, 16};
  at_128.heads = 4;
  at_128.head_channels = 0;
  at_64.width = 192;
  at_64.levels = {1, 2, 3, 4};
  at_64.res_blocks = 3;
  at_64.attention_at = {2, 4, 8};
  at_64.dropout = 0.1;
  at_64.new_attention_order = true;
  lsun.dropout = 0.1;
  tiny.width = 32;
  tiny.levels = {1, 2};
  tiny.res_blocks = 1;
  tiny.attention_at = {2};
  tiny.head_channels = 32;
  mini.width = 64;
  mini.levels = {1, 2, 2};
  mini.attention_at = {2, 4};
  mini.head_channels = 32;
  return {unet_row("adm-tiny", "adm", tiny),  unet_row("adm-mini", "adm", mini),  unet_row("adm-64", "adm", at_64),
          unet_row("adm-128", "adm", at_128), unet_row("adm-256", "adm", at_256), unet_row("adm-512", "adm", at_512),
          unet_row("adm-lsun", "adm", lsun)};
}

// The files in config/dynamic of Self-Guided Diffusion Models.
std::vector<Preset> sg_presets() {
  const UNetOptions fast{
      .width = 128, .levels = {1, 2, 4}, .res_blocks = 2, .attention_at = {4}, .heads = 8, .dropout = 0.1};
  auto unet = fast, fast_s64 = fast, ca_fast = fast;
  unet.attention_at = {2, 4};
  unet.heads = 32;
  fast_s64.width = 256;
  ca_fast.dropout = 0;
  ca_fast.resblock_updown = false;
  auto ca = ca_fast, ca_fast_s64 = ca_fast;
  ca.attention_at = {2, 4};
  ca_fast_s64.width = 224;
  ca_fast_s64.levels = {1, 2, 3, 4};
  ca_fast_s64.attention_at = {4, 8};
  ca_fast_s64.heads = 32;
  return {unet_row("sg-unet", "sg", unet),
          unet_row("sg-unet-fast", "sg", fast),
          unet_row("sg-unet-fast-s64", "sg", fast_s64),
          unet_row("sg-unetca", "sg", ca, true),
          unet_row("sg-unetca-fast", "sg", ca_fast, true),
          unet_row("sg-unetca-fast-s64", "sg", ca_fast_s64, true)};
}

std::vector<Preset> make_presets() {
  std::vector<Preset> rows;
  const auto add = [&](const std::string& family, const std::vector<Size>& sizes) {
    for (const auto& size : sizes)
      for (const auto patch : size.patches)
        rows.push_back({.name = cat(family, "-", size.name, "/", patch),
                        .family = family,
                        .dim = size.dim,
                        .depth = size.depth,
                        .heads = size.heads,
                        .patch = patch,
                        .initial_values = initial_values(size.name),
                        .conv = size.conv});
  };
  add("uvit", kUViTSizes);
  add("dit", kDiTSizes);
  add("sit", kDiTSizes);
  for (const auto& unets : {adm_presets(), sg_presets()}) rows.insert(rows.end(), unets.begin(), unets.end());
  return rows;
}

int64_t or_preset(int64_t option, int64_t preset) {
  return option > 0 ? option : preset;
}

constexpr double kThousandSteps = 1000;

UViTLayout layout_of(Layout layout, ConditionKind condition) {
  if (layout == Layout::kBaofff) return UViTLayout::kBaofff;
  if (layout == Layout::kSgfmPatch || condition == ConditionKind::kPatchVector) return UViTLayout::kSgfmPatch;
  return UViTLayout::kSgfm;
}

// What stands in every network's options. `time_scale` is the preset's.
template <class Options>
void fill_common(Options& network, const ModelOptions& options, const ModelShape& shape, double time_scale) {
  network.size = shape.size;
  network.channels = shape.channels;
  network.condition = shape.condition;
  network.time_scale = options.time_scale > 0 ? options.time_scale : time_scale;
  network.activation_checkpointing = options.activation_checkpointing;
  network.inner = shape.inner;
}

template <class Options>
Options transformer(const Preset& preset, const ModelOptions& options, const ModelShape& shape, double time_scale) {
  Options network;
  fill_common(network, options, shape, time_scale);
  network.classes = shape.classes;
  network.null_label = options.null_label;
  network.strength = shape.strength;
  network.patch = or_preset(options.patch, preset.patch);
  network.dim = or_preset(options.dim, preset.dim);
  network.depth = or_preset(options.depth, preset.depth);
  network.heads = or_preset(options.heads, preset.heads);
  if (options.mlp_ratio > 0) network.mlp_ratio = options.mlp_ratio;
  network.style = {options.qk_norm, options.rms_norm, options.swiglu, options.rotary};
  SDG_CHECK_USAGE(shape.condition_dim == 0 || shape.condition_dim == network.dim, "model ", options.name,
                  ": condition vectors must be as wide as the tokens, ", network.dim, ", got ", shape.condition_dim,
                  "; set model.dim, or take a network of family sg");
  SDG_CHECK_USAGE(shape.size % network.patch == 0, "model ", options.name, ": images of side ", shape.size,
                  " cannot be cut into patches of ", network.patch, "; set model.patch to a divisor");
  return network;
}

template <class Options>
Options unet(const Preset& preset, const ModelOptions& options, const ModelShape& shape, double time_scale) {
  Options network;
  static_cast<UNetOptions&>(network) = preset.unet;
  fill_common(network, options, shape, time_scale);
  SDG_CHECK_USAGE(!options.qk_norm && !options.rms_norm && !options.swiglu && !options.rotary, "model ", options.name,
                  ": model.qk_norm, rms_norm, swiglu and rotary are of transformers");
  SDG_CHECK_USAGE(options.patch <= 1, "model ", options.name, ": a U-Net has no patches; leave model.patch at 0");
  network.width = or_preset(options.dim, preset.dim);
  network.res_blocks = or_preset(options.depth, preset.depth);
  if (options.heads > 0) {
    network.heads = options.heads;
    network.head_channels = 0;
  }
  if (options.dropout >= 0) network.dropout = options.dropout;
  network.learn_sigma = options.learn_sigma;
  return network;
}

SgUNetOptions sg_unet(const Preset& preset, const ModelOptions& options, const ModelShape& shape, double time_scale) {
  auto network = unet<SgUNetOptions>(preset, options, shape, time_scale);
  network.context_attention = preset.context_attention;
  network.map_channels = shape.map_channels;
  const auto own_width = or_preset(shape.condition_dim, 2 * network.width);
  network.condition_dim = network.condition == ConditionKind::kIndex ? shape.classes : own_width;
  const auto side = shape.size >> (network.levels.size() - 1);
  network.tokens = side * side;
  return network;
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
  const flow::Prediction predicts{options.prediction, options.path};
  // Sinusoids made for step numbers see 1000 t; on a path of betas the time is the step number.
  const double steps_scale = flow::has_steps(predicts.path) ? 1 : kThousandSteps;
  const auto where = at::TensorOptions(device).dtype(at::kFloat);
  const auto values = options.init == Init::kAuto     ? preset.initial_values
                      : options.init == Init::kPublic ? nn::InitialValues::kPublic
                                                      : nn::InitialValues::kFanIn;
  const auto finish = [&](auto net, auto... begins) -> std::shared_ptr<VelocityModel> {
    initialize(*net, seed, begins...);
    net->set_predicts(predicts);
    return net.ptr();
  };
  SDG_CHECK_USAGE(shape.map_channels == 0 || preset.family == "sg", "model ", options.name,
                  ": takes no maps; networks of family sg (sg-unet, ...) do");
  SDG_CHECK_USAGE(preset.family != "sg" || !shape.strength, "guided.learn: gft: model ", options.name,
                  " cannot be told a strength; take a transformer (uvit, dit, sit) or a U-Net of family adm, or mg");
  if (preset.family == "uvit") {
    auto network = transformer<UViTOptions>(preset, options, shape, 1);
    network.conv = preset.conv;
    network.layout = layout_of(options.layout, network.condition);
    network.mlp_time_embed = options.mlp_time_embed;
    network.qkv_bias = options.qkv_bias;
    return finish(UViT(network, where), values);
  }
  if (preset.family == "adm") {
    auto network = unet<AdmUNetOptions>(preset, options, shape, steps_scale);
    network.classes = shape.classes;
    network.null_label = options.null_label;
    network.strength = shape.strength;
    return finish(AdmUNet(network, where));
  }
  if (preset.family == "sg") return finish(SgUNet(sg_unet(preset, options, shape, steps_scale), where));
  auto network = transformer<DiTOptions>(preset, options, shape, preset.family == "dit" ? steps_scale : 1);
  network.learn_sigma = options.learn_sigma;
  return finish(DiT(network, where));
}

}  // namespace sdg::model
