#pragma once
#include <cstdint>
#include <string>

#include "sdg/config/fields.h"
#include "sdg/flow/prediction.h"

namespace sdg::model {

/// What a network can be told about an image.
enum class ConditionKind {
  kNone,         ///< nothing
  kIndex,        ///< a class or cluster number, looked up in the network's own table
  kVector,       ///< a vector of the network's width, such as a prototype
  kPatchVector,  ///< one such vector for every patch
  kMap,          ///< an image of M channels as large as x_t, such as a segmentation, joined to it
};
constexpr auto names_of(ConditionKind) {
  return std::array{"none", "index", "vector", "patch_vector", "map"};
}

/// Which tokens a U-ViT has, and where.
enum class Layout { kAuto, kBaofff, kSgfm, kSgfmPatch };
constexpr auto names_of(Layout) {
  return std::array{"auto", "baofff", "sgfm", "sgfm_patch"};
}

/// How a network's weights begin: as its preset says, as its public code begins, or by the fan-in of each layer.
enum class Init { kAuto, kPublic, kFanIn };
constexpr auto names_of(Init) {
  return std::array{"auto", "public", "fan_in"};
}

/// Must every tensor of a file of initial weights find its like?
enum class WeightsMatch { kStrict, kMatching };
constexpr auto names_of(WeightsMatch) {
  return std::array{"strict", "matching"};
}

/// The network, before the data's size and the condition are known.
struct ModelOptions {
  std::string name = "uvit-tiny/2";  ///< preset, see model/catalog.h
  // 0 = as in the preset
  int64_t dim = 0, depth = 0, heads = 0, patch = 0;
  double mlp_ratio = 0;           ///< hidden width of the MLPs over the tokens' width; 0 = 4
  bool learn_sigma = false;       ///< dit, sit, adm: predict as many channels again (variances; SiT: unused)
  bool null_label = true;         ///< index conditions: the label table has a row for "no label"
  Layout layout = Layout::kAuto;  ///< uvit; auto: sgfm, or sgfm_patch for patch_vector
  bool mlp_time_embed = false;    ///< uvit: an MLP after the time sinusoid
  bool qkv_bias = false;          ///< uvit
  bool qk_norm = false, rms_norm = false, swiglu = false, rotary = false;  ///< uvit, dit, sit: nn/block_style.h
  double time_scale = 0;  ///< the time sinusoid sees time_scale * t; 0 = as in the preset
  Init init = Init::kAuto;
  std::string weights;  ///< file of weights to start from
  WeightsMatch weights_match = WeightsMatch::kStrict;
  bool activation_checkpointing = false;
  double dropout = -1;  ///< U-Nets; -1 = as in the preset
  flow::Target prediction = flow::Target::kVelocity;
  flow::Path path = flow::Path::kStraight;
  void visit(config::Fields& fields);
};

/// What the rest of the run asks of the network.
struct ModelShape {
  int64_t size = 8;  ///< side of the input in pixels or latents
  int64_t channels = 1;
  ConditionKind condition = ConditionKind::kNone;
  int64_t classes = 0;        ///< number of indices, without the null one (kind index)
  int64_t map_channels = 0;   ///< channels of the map (kind map)
  int64_t condition_dim = 0;  ///< width of condition vectors; 0: the network's own. Only family sg takes others.
  int64_t inner = -1;         ///< block after which an inner head predicts too; -1: none
  bool strength = false;      ///< is the strength of guidance an input. Not of family sg
};
}  // namespace sdg::model
