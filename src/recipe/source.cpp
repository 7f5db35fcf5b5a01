#include "sdg/recipe/source.h"

namespace sdg::recipe {

SourceFacts facts_of(Source source) {
  switch (source) {
    case Source::kNone:
      return {};
    case Source::kLabel:
      return {.conditions = true, .indices = true, .given = true, .labels = true};
    case Source::kOnline:
      return {.conditions = true, .online = true, .own_clusters = true, .later = true};
    case Source::kRecluster:
      return {.conditions = true, .indices = true, .own_clusters = true, .later = true};
    case Source::kKmeans:
      return {.conditions = true, .indices = true, .given = true, .own_clusters = true};
    case Source::kFile:
      return {.conditions = true, .indices = true, .given = true};
  }
  return {};
}

SourceFacts facts_of(const RunConfig& config) {
  return facts_of(config.condition.source);
}

bool tells_embeddings(const RunConfig& config) {
  return facts_of(config).online && config.condition.token == Token::kEmbedding;
}

bool keeps_clusters(const RunConfig& config) {
  return tells_embeddings(config) || (facts_of(config).online && config.cluster.keeps_clusters());
}

bool looks_through_average(const RunConfig& config) {
  return facts_of(config).online || config.guided.learn == LearnGuidance::kMg || config.align.with_itself();
}

}  // namespace sdg::recipe
