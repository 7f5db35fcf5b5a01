#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/data/loader.h"
#include "sdg/learn/agreement.h"
#include "sdg/learn/condition_prior.h"
#include "sdg/learn/draws.h"
#include "sdg/learn/guided_target.h"
#include "sdg/learn/learner_state.h"
#include "sdg/learn/objective.h"
#include "sdg/learn/optimizer.h"
#include "sdg/learn/power_averages.h"
#include "sdg/learn/recorded_passes.h"
#include "sdg/learn/step_result.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::learn {

/// A step that was undone because a loss, the gradient or the update was not finite. The message says which step
/// (counted from 1), what went bad, and what may help.
class BadStep : public Error {
 public:
  using Error::Error;
};

struct AlignmentTarget;

/// The state of training and one step of it; knows no files. A step is a function of (state, batch): all draws are
/// keyed by the batch's global sample counters, and the gradients of the shards are summed in a fixed order, so the
/// result does not depend on threads. Over ranks each has a learner and steps with its own images of one global batch;
/// how that is divided changes float32 rounding and nothing else (train.dispersive compares within shards).
class Learner {
 public:
  /// `ids` int64 [data set size]: the condition index of each image for the index sources; undefined otherwise (and
  /// for source recluster, which sets them later). `classes`: number of such indices. `images`: size of the data set.
  /// `reducer` must outlive this. With `stored` conditions the indices are rows of these. `target` is what
  /// align.extractor names; null where that is none.
  Learner(const recipe::RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes,
          int64_t images = Agreement::kRemembered, Reducer& reducer = Reducer::local(),
          const std::shared_ptr<const network::StoredConditions>& stored = nullptr,
          const std::shared_ptr<const AlignmentTarget>& target = nullptr);
  /// With networks and draws of the caller's, which must be what `config` describes.
  Learner(const recipe::RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes,
          network::Network student, network::Network teacher, DrawFn draws, int64_t images = Agreement::kRemembered,
          Reducer& reducer = Reducer::local(), const std::shared_ptr<const AlignmentTarget>& target = nullptr);

  /// Source recluster: the indices from the next step on; sampling's prior is their histogram.
  void set_ids(const Tensor& ids);
  const Tensor& ids() const { return ids_; }

  /// First step that trains with conditions, as far as known: with condition.stable it may still come earlier.
  int64_t change_at() const { return state_.beginnings.conditions(); }

  /// Advances by one step. Throws BadStep, leaving everything as it was (weights, prototypes, batch statistics, queue,
  /// optimizer, averages, prior), if a loss, the gradient or the update is not finite; then all ranks do. Throws Error
  /// on all ranks where one has no image.
  StepResult step(const data::Batch& batch);

  /// On a device (LearnerState::no_waiting) step() does not wait to learn whether it was finite. From the first step on
  /// that was not, steps leave everything as it was; settle() reads which that was, makes it the next one and throws
  /// BadStep. Call it wherever figures are read; load() and save() follow it. Without an effect elsewhere.
  void settle();
  /// For tests: from now on as on a device. Without an effect over ranks, which wait for each other anyway.
  void wait_for_nothing();
  /// Passes of shards are recorded from now on (train.graph), by `make`; where they cannot be, one warning says so.
  void record_passes(MakeRecording make);
  bool waits() const { return !state_.no_waiting; }

  int64_t steps_done() const { return state_.steps_done; }

  /// The trained network, and its average: the teacher that assigns clusters and the network that samples. With
  /// train.shard_state ranks may have parted the average between them: then teacher() throws Error until it is
  /// gathered.
  network::Network& student() { return state_.student; }
  network::Network& teacher();
  /// Which part of the flat parameters this rank steps: all, without train.shard_state.
  RowRange stepped() const { return state_.stepped(); }
  /// All ranks together: what a step has left on other ranks is there until the next step, on rank 0 or on all. Nothing
  /// to do without train.shard_state. save() needs gather_state(), which is for rank 0 alone.
  void gather_teacher(bool on_all) { gather_average(state_, on_all); }
  void gather_state();
  /// Of average.track the network's averages as PowerAverages::of_network has them, on rank 0; all ranks must ask.
  std::map<std::string, Tensor> gather_averages();
  /// What sampling draws conditions from: the share of each cluster (or class) in the conditions lately given, [K]; at
  /// patch level the last cluster maps themselves, int64 [M, L]; of stored conditions equal shares of their rows.
  /// Undefined while no step was trained with conditions.
  Tensor prior() const;
  /// The part of a flat tensor [P] (StepResult::gradient) that belongs to each parameter.
  std::map<std::string, Tensor> named(const Tensor& flat) const { return state_.flat.named_views(flat); }

  /// Everything a resumed run needs, by name.
  void save(tensors::TensorFile& file) const;
  void load(const tensors::TensorFile& file, const std::string& where);

 private:
  void update_unless_bad(StepResult& result, const std::vector<Contribution>& contributions);
  bool conditioned() const;
  bool keeps_ids() const;
  Shard shard_of(const data::Batch& batch, int64_t number, int64_t first, int64_t count, int64_t whole) const;
  void look_up(Shard& shard) const;
  RecordedPasses::Computed compute(Shard& shard, const std::vector<Objective*>& objectives) const;
  void pass(Shard& shard, const std::vector<Objective*>& objectives);
  std::string bad_step(const std::string& what) const;
  std::string bad_gradient(const Tensor& gradient, const std::vector<Objective*>& objectives,
                           const std::vector<Contribution>& contributions) const;
  void step_weights(StepResult& result, const std::vector<Contribution>& contributions);

  LearnerState state_;
  Tensor ids_;  // of each image of the data set, where conditions are indices
  DrawFn draws_;
  AdamW optimizer_;
  Tensor whole_exp_avg_, whole_exp_avg_sq_;  // on rank 0 between gather_state and the next step
  PowerAverages averages_;
  ConditionPrior prior_;
  Tensor verdict_;        // int64 [2] on the device: the first step that was not finite (0: none) and of what
  size_t unsettled_ = 0;  // steps since it was read
  std::vector<std::unique_ptr<Objective>> objectives_;  // the flow's first
  GuidedTarget guided_{state_};
  std::unique_ptr<RecordedPasses> recorded_;  // null: passes are made as they stand
};

}  // namespace sdg::learn
