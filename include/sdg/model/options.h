#pragma once
#include <cstdint>
#include <string>

#include "sdg/config/fields.h"

namespace sdg::model {
/// The network, before the data's size and the condition are known.
struct ModelOptions {
  std::string name = "uvit-tiny/2";  ///< preset, see model/catalog.h
  // 0 = as in the preset
  int64_t dim = 0, depth = 0, heads = 0, patch = 0;
  double mlp_ratio = 0;         ///< hidden width of the MLPs over the tokens' width; 0 = 4
  bool learn_sigma = false;     ///< dit, sit, adm: predict as many channels again (variances; SiT: unused)
  bool null_label = true;       ///< index conditions: the label table has a row for "no label"
  std::string layout = "auto";  ///< uvit: auto (sgfm, or sgfm_patch for patch_vector) | baofff | sgfm | sgfm_patch
  bool mlp_time_embed = false;  ///< uvit: an MLP after the time sinusoid
  bool qkv_bias = false;        ///< uvit
  double time_scale = 0;        ///< the time sinusoid sees time_scale * t; 0 = as in the preset
  std::string init = "auto";    ///< initial values: auto (the preset's) | public | fan_in
  std::string weights;          ///< file of weights to start from
  std::string weights_match = "strict";  ///< strict | matching: must every tensor find its like
  bool activation_checkpointing = false;
  double dropout = -1;                  ///< U-Nets; -1 = as in the preset
  std::string prediction = "velocity";  ///< velocity | noise | data | score
  std::string path = "straight";        ///< straight | linear | cosine | sqrt_linear | stable_diffusion
  void visit(config::Fields& fields);
};

/// What the rest of the run asks of the network.
struct ModelShape {
  int64_t size = 8;  ///< side of the input in pixels or latents
  int64_t channels = 1;
  std::string condition = "none";  ///< none | index | vector | patch_vector | map
  int64_t classes = 0;             ///< number of indices, without the null one (kind index)
  int64_t map_channels = 0;        ///< channels of the map (kind map)
  int64_t condition_dim = 0;       ///< width of condition vectors; 0: the network's own. Only family sg takes others.
};
}  // namespace sdg::model
