#include "sdg/network/guidance_ways.h"

#include "sdg/core/error.h"
#include "sdg/recipe/source.h"

namespace sdg::network {

std::vector<GuidanceWay> ways_to_guide(const recipe::RunConfig& config, bool conditioned) {
  using recipe::LearnGuidance;
  const auto& guided = config.guided;
  std::vector<GuidanceWay> out;
  if (conditioned) {
    if (config.model.null_label) out.push_back({"guidance W: away from the null condition", 2});
    if (config.condition.source != recipe::Source::kFile && !recipe::tells_embeddings(config))
      out.push_back({"guide other, guidance W: away from another condition", 2});
    if (guided.learn == LearnGuidance::kGft)
      out.push_back({cat("guide input, guidance 1 to ", guided.strongest(), ": the network is told the strength"), 1});
    if (guided.learn == LearnGuidance::kMg)
      out.push_back({cat("guidance 1: trained to draw as with guidance ", guided.scale), 1});
  }
  if (guided.inner >= 0) out.push_back({cat("inner_guidance W: away from the head after block ", guided.inner), 1});
  return out;
}

}  // namespace sdg::network
