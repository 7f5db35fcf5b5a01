#pragma once
#include <cstdint>
#include <vector>

#include "sdg/core/tensor.h"

/// Inception Score, in the logits of Inception: Salimans et al., "Improved techniques for training GANs", 2016. The
/// field takes the logits without the last layer's bias (torch-fidelity's "logits_unbiased", ADM's evaluator).
namespace sdg::metrics {

struct InceptionScore {
  double mean = 0;       ///< of exp(mean over a piece of KL(p(y|x) || the piece's mean of p)) over the pieces
  double deviation = 0;  ///< population deviation over them
  int64_t pieces = 0;
};

/// Of the rows of each piece, logits [n, C] with n at least 1, in float64.
InceptionScore inception_score(const std::vector<Tensor>& pieces);

/// Of `splits` pieces of nearly one size, cut from the rows [N, C] in a random order keyed by the seed. Larger pieces
/// score higher: only scores of one N and one number of splits compare. Throws Error for fewer rows than splits.
InceptionScore inception_score(const Tensor& logits, int64_t splits, uint64_t seed = 0);

}  // namespace sdg::metrics
