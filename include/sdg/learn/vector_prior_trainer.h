#pragma once
#include <memory>

#include "sdg/learn/module_optimizer.h"
#include "sdg/network/vector_prior.h"

namespace sdg::learn {

struct VectorPriorOptions {
  int64_t width = 512, blocks = 3;  ///< of network::VectorField
  int64_t steps = 3000, batch = 256;
  double lr = 1e-3;  ///< after a warm-up over the first thirtieth, falling to a hundredth by a cosine
};

/// Trains a network::VectorPrior by flow matching on rows: the loss is the mean square of the field's velocity at
/// x_t = t x + (1 - t) eps minus x - eps, t uniform; the weights that draw are an average of the last few hundred
/// steps'. Every draw is a function of (seed, step, place in the batch).
class VectorPriorTrainer {
 public:
  /// rows [R, D] on the device to train on, of which row r is drawn as often as weights[r] says (float64 [R]). Throws
  /// Error for rows that are not finite or all alike.
  VectorPriorTrainer(const Tensor& rows, const Tensor& weights, const VectorPriorOptions& options, uint64_t seed);

  /// One step; returns its loss. Throws Error where that is not finite.
  double advance();
  int64_t done() const { return done_; }
  /// By the average as it is.
  const network::VectorPrior& prior() const { return prior_; }

 private:
  Tensor rows_, often_;  // as the field sees them, [R, D]; float64 [R]
  VectorPriorOptions options_;
  uint64_t seed_;
  int64_t done_ = 0;
  network::VectorField field_{nullptr};
  network::VectorPrior prior_;
  std::unique_ptr<ModuleOptimizer> optimizer_;
  network::FlatParameters average_;
};

}  // namespace sdg::learn
