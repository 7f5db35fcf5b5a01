#pragma once
#include <memory>
#include <vector>

#include "sdg/cludi/student.h"
#include "sdg/cluster/learned.h"
#include "sdg/core/rng.h"
#include "sdg/learn/module_optimizer.h"

namespace sdg::cludi {

/// CLUDI on given features: in each step a teacher draws assignments of clean rows, the student estimates them from
/// noised rows, and both are held together by student.h's losses. Every draw is a function of (seed, step, row, copy),
/// so a run goes on bit for bit; where targets carry no gradient the copies are drawn by the worker pool, which changes
/// no bit. It lives on the device of the features.
class Trainer : public cluster::Learned {
 public:
  /// features [N, F] finite, clusters >= 2. Throws UsageError for options that contradict each other, Error for
  /// other features.
  Trainer(const Tensor& features, int64_t clusters, const CludiOptions& options, uint64_t seed);

  int64_t steps() const override { return options_.train.epochs * steps_per_epoch_; }
  double advance() override;
  /// Averages answer.draws draws of each row. probabilities are softmax(mean logits / temperature), or the mean of the
  /// draws' own; prototypes the unit centres times sqrt(E), embeddings the assignments' embeddings beside them.
  cluster::Answer answer(const Tensor& features, const Progress& progress = {}) const override;
  std::map<std::string, Tensor> state() const override;
  void restore(const std::map<std::string, Tensor>& state, int64_t done, const std::string& where) override;

  /// What the last step lowered.
  const Losses& last() const { return last_; }

 private:
  struct Batch {
    std::vector<int64_t> rows, samples;  ///< [B]; [C * B], copy by copy
    Tensor features;                     ///< [1, B, F]
  };
  Batch batch_of(int64_t step) const;
  rng::Stream stream(rng::Purpose purpose, int64_t step) const;
  Tensor normal(const Batch& batch, rng::Purpose purpose, int64_t step, int64_t width) const;
  Drawn targets_of(const Batch& batch) const;
  Drawn drawn_alone(const Denoiser& teacher, const Batch& batch) const;
  StudentInput input_of(const Batch& batch, const Drawn& targets) const;
  double learning_rate() const;
  void update_average();
  cluster::Answer answer_block(const Denoiser& denoiser, const Tensor& features, int64_t first,
                               const std::function<void()>& on_draw) const;

  Tensor features_;
  int64_t batch_, steps_per_epoch_;
  CludiOptions options_;
  uint64_t seed_;
  NoiseSchedule schedule_;
  Denoiser student_, average_;
  std::unique_ptr<learn::ModuleOptimizer> optimizer_;
  network::FlatParameters average_values_;
  Losses last_;
};

}  // namespace sdg::cludi
