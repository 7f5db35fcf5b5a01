#pragma once
#include <vector>

#include "sdg/cludi/options.h"
#include "sdg/core/tensor.h"

namespace sdg::cludi {

struct PairLossOptions {
  double row_temperature = 0.1, column_temperature = 0.05;
  PairWeight pair_weight = PairWeight::kTeacher;
};

/// Cross-entropy under a uniform prior of clusters (Amrani, Karlinsky & Bronstein, "Self-supervised classification
/// network", 2103.10994), in both directions and over all pairs of copies. teacher, student: logits [C, B, K]; weights
/// [C] of the student's copies, undefined for 1. The target of a row is softmax over the B rows, then brought to sum 1
/// over the clusters; the prediction is softmax over clusters, then brought to sum 1 over the rows, times B / K. Of a
/// teacher's copy i and a student's copy j: half of w target(i) . -log prediction(j) plus half of w_j target(j) . -log
/// prediction(i), summed over clusters, averaged over rows and pairs; the first w is w_i or w_j, as pair_weight says.
/// Scalar, with gradient for both.
Tensor pair_loss(const Tensor& teacher, const Tensor& student, const Tensor& weights,
                 const PairLossOptions& options = {});

/// The loss of several heads: their sum, or as the public code adds (L <- 2 L + next); both divided by their number.
Tensor sum_of_heads(const std::vector<Tensor>& losses, HeadSum how);

}  // namespace sdg::cludi
