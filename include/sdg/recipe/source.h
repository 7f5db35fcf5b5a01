#pragma once
#include "sdg/recipe/run_config.h"

namespace sdg::recipe {

/// What a source of conditions (condition.source) means to a network and its training. Where its conditions are got
/// from is the subject of conditions/condition_source.h.
struct SourceFacts {
  bool conditions = false;    ///< there are any
  bool indices = false;       ///< a number an image, which the network looks up in a table of its own
  bool given = false;         ///< … that is known before training begins
  bool labels = false;        ///< … and is the label
  bool online = false;        ///< clusters that a head finds in the network's features while it trains
  bool own_clusters = false;  ///< there are cluster.clusters of them
  bool later = false;         ///< they begin with condition.change, not with the first step
};
SourceFacts facts_of(Source source);
SourceFacts facts_of(const RunConfig& config);

/// Is it remembered of each image of the data set what its cluster was at its last look?
bool keeps_clusters(const RunConfig& config);
/// Are images told what the teacher sees in them (condition.token embedding)? Then that is remembered too.
bool tells_embeddings(const RunConfig& config);

/// Does a training step ask the averaged network anything: clusters, guided targets, features to align with?
bool looks_through_average(const RunConfig& config);

}  // namespace sdg::recipe
