#pragma once
// The network of a fixture that holds sgfm's U-ViT with its projection head and prototypes.
#include "sdg/model/catalog.h"
#include "sdg/model/uvit.h"
#include "sdg/network/network.h"
#include "support/fixture.h"

namespace sdg::test {

inline model::UViTOptions sgfm_options(const nlohmann::json& stored, bool patch_level) {
  model::UViTOptions options;
  options.size = stored.at("img_size");
  options.patch = stored.at("patch_size");
  options.channels = stored.at("in_chans");
  options.dim = stored.at("embed_dim");
  options.depth = stored.at("depth");
  options.heads = stored.at("num_heads");
  options.mlp_ratio = stored.at("mlp_ratio");
  options.qkv_bias = stored.at("qkv_bias");
  options.mlp_time_embed = stored.at("mlp_time_embed");
  options.conv = stored.at("conv");
  options.skip = stored.at("skip");
  options.layout = patch_level ? model::UViTLayout::kSgfmPatch : model::UViTLayout::kSgfm;
  options.condition = patch_level ? model::ConditionKind::kPatchVector : model::ConditionKind::kVector;
  return options;
}

inline network::Network sgfm_network(const Fixture& fixture, bool patch_level) {
  const auto& stored = fixture.config.at("model");
  network::Network network;
  model::UViT backbone(sgfm_options(stored, patch_level));
  auto weights = fixture.weights();
  std::map<std::string, Tensor> head;
  for (auto it = weights.begin(); it != weights.end();) {
    const bool of_head = it->first.starts_with("projection_head.") || it->first.starts_with("prototypes.");
    if (of_head) head.insert(*it);
    it = of_head ? weights.erase(it) : std::next(it);
  }
  model::load_weights(*backbone, weights, fixture.name);
  network.model = backbone.ptr();
  const int64_t dim = stored.at("embed_dim");
  network.head = cluster::PrototypeHead(cluster::PrototypeHeadOptions{
      .feature_dim = dim, .hidden = 0, .dim = dim, .clusters = stored.at("nmb_prototypes")});
  model::load_weights(*network.head, head, fixture.name);
  return network;
}

}  // namespace sdg::test
