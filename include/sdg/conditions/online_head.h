#pragma once
#include "sdg/checkpoint/checkpoint.h"
#include "sdg/cluster/learned.h"

namespace sdg::conditions {

/// What the head of a run of source online says of features [N, F] of its own tap: the clusters of its scores,
/// softmax(scores / cluster.temperature), its prototypes and embeddings. Where clusters rest, the answer is that of its
/// training images, which the features must be of then: the kept clusters, each with probability 1. Throws UsageError
/// for a run without a head, with clusters of patches or with clusters that rest of other images, Error for features of
/// another width than the head's.
cluster::Answer online_answer(const checkpoint::Trained& trained, const Tensor& features, bool of_training_images,
                              const at::Device& device);

}  // namespace sdg::conditions
