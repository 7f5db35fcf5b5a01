#pragma once
// The tiny DiT or SiT of a fixture.
#include "sdg/model/catalog.h"
#include "sdg/model/dit.h"
#include "support/fixture.h"

namespace sdg::test {

inline model::DiT public_dit(const Fixture& fixture) {
  const auto& config = fixture.config.contains("model") ? fixture.config.at("model") : fixture.config;
  model::DiTOptions options;
  options.size = config.at("input_size");
  options.patch = config.at("patch_size");
  options.channels = config.at("in_channels");
  options.dim = config.at("hidden_size");
  options.depth = config.at("depth");
  options.heads = config.at("num_heads");
  options.mlp_ratio = config.at("mlp_ratio");
  options.classes = config.at("num_classes");
  options.null_label = config.at("class_dropout_prob") > 0;
  options.learn_sigma = config.value("learn_sigma", false);
  options.style.qk_norm = config.value("qk_norm", false);
  if (config.contains("z_dims")) {  // REPA's projectors
    options.projector_dims = config.at("z_dims").get<std::vector<int64_t>>();
    options.projector_hidden = config.at("projector_dim");
    options.projector_depth = config.at("encoder_depth");
  }
  model::DiT net(options);
  model::load_weights(*net, fixture.weights(), fixture.name);
  return net;
}

}  // namespace sdg::test
