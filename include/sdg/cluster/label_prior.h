#pragma once
#include "sdg/core/reducer.h"
#include "sdg/core/rng.h"
#include "sdg/core/tensor.h"

/// How often each cluster occurs in the training set, so that sampling needs no data (docs/math.md,
/// "Conditions"; the public code takes its conditions from training images).
namespace sdg::cluster {

/// How many of the ids int64 [...], of all ranks, are each cluster: [K] float64 on the CPU. Throws Error, on all ranks,
/// for an id outside 0 … clusters - 1.
Tensor label_counts(const Tensor& ids, int64_t clusters, Reducer& reducer = Reducer::local());

/// counts [K], not negative and not all zero, to probabilities [K] float64 on the CPU. Throws Error otherwise.
Tensor label_prior(const Tensor& counts);

/// Cluster ids, int64 [samples.size()] on the CPU, drawn from `prior` [K]; id i depends only on (stream, samples[i]),
/// so the batch size does not matter. A cluster of probability 0 is never drawn.
Tensor draw(const Tensor& prior, const rng::Stream& stream, at::IntArrayRef samples);

}  // namespace sdg::cluster
