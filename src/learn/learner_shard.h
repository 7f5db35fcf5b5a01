#pragma once
#include "sdg/learn/learner.h"

namespace sdg::learn {

/// What one shard of the batch computed on its own.
struct Learner::Shard {
  double loss_sum = 0;           ///< of the velocity error over the shard's images
  Tensor gradient;               ///< [P], already divided by the batch size
  Tensor ids;                    ///< conditions given, [n] or [n, L]
  Tensor teacher_scores;         ///< [n, K] or [n*L, K]
  Tensor teacher_embedding;      ///< of the same rows, [n, p] or [n*L, p]
  Tensor head_features, head_t;  ///< what the head learns from, [n, F] or [n*L, D], and the images' times [n]; with
                                 ///< cluster.backbone the features carry the trained network's graph
};

/// "nan", "infinite", or the number.
std::string number_text(double value);

}  // namespace sdg::learn
