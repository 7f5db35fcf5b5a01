#pragma once
// guided-diffusion's constructor arguments, as the fixtures store them, in our words.
#include <nlohmann/json.hpp>

#include "sdg/model/unet_trunk.h"

namespace sdg::test {

inline void read_unet_config(const nlohmann::json& config, model::UNetOptions& options) {
  const auto count = [&](const char* key) { return std::max<int64_t>(0, config.value(key, int64_t{-1})); };
  options.size = config.at("image_size");
  options.channels = config.at("in_channels");
  options.learn_sigma = config.at("out_channels") != config.at("in_channels");
  options.width = config.at("model_channels");
  options.levels = config.at("channel_mult").get<std::vector<double>>();
  options.res_blocks = config.at("num_res_blocks");
  options.attention_at = config.at("attention_resolutions").get<std::vector<int64_t>>();
  options.heads = std::max<int64_t>(1, count("num_heads"));
  options.up_heads = count("num_heads_upsample");
  options.head_channels = count("num_head_channels");
  options.new_attention_order = config.value("use_new_attention_order", false);
  options.scale_shift = config.at("use_scale_shift_norm");
  options.resblock_updown = config.at("resblock_updown");
  options.conv_resample = config.value("conv_resample", true);
  options.dropout = config.at("dropout");
}

}  // namespace sdg::test
