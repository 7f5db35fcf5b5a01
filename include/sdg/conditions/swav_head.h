#pragma once
#include <memory>

#include "sdg/cluster/learned.h"
#include "sdg/cluster/prototype_head.h"
#include "sdg/config/fields.h"
#include "sdg/learn/module_optimizer.h"

namespace sdg::conditions {

/// A prototype head trained on given features; defaults follow SwAV (Caron et al., 2006.09882) where it has them.
struct SwavOptions {
  int64_t epochs = 100, batch = 256, dim = 128, hidden = 0;
  double epsilon = 0.05, temperature = 0.1;
  int64_t iterations = 3;
  double noise_low = 0.2, noise_high = 1, drop_low = 0.05, drop_high = 0.1;
  double lr = 1e-3, lr_end = 1e-5, warmup = 5, weight_decay = 1e-6;
  void visit(config::Fields& fields);
};

/// Sinkhorn-balanced clusters of given features as SwAV finds those of images: two noisy views of each row, a head on
/// both, and each view learns the balanced assignment of the other (docs/math.md, "Sinkhorn-Knopp"). The features
/// themselves stay as they are. Every draw is a function of (seed, purpose, step, row).
class SwavTrainer : public cluster::Learned {
 public:
  /// features [N, F] finite, clusters >= 2; brought to length 1.
  SwavTrainer(const Tensor& features, int64_t clusters, const SwavOptions& options, uint64_t seed);

  int64_t steps() const override { return options_.epochs * steps_per_epoch_; }
  double advance() override;
  /// probabilities are softmax(scores / temperature), embeddings the head's unit rows, beside unit prototypes.
  cluster::Answer answer(const Tensor& features, const Progress& progress = {}) const override;
  std::map<std::string, Tensor> state() const override;
  void restore(const std::map<std::string, Tensor>& state, int64_t done, const std::string& where) override;

 private:
  Tensor views_of(const std::vector<int64_t>& rows) const;  // [2, B, F]

  Tensor features_;
  int64_t batch_, steps_per_epoch_;
  SwavOptions options_;
  uint64_t seed_;
  mutable cluster::PrototypeHead head_;  // a handle: forward is not const in LibTorch
  std::unique_ptr<learn::ModuleOptimizer> optimizer_;
};

}  // namespace sdg::conditions
