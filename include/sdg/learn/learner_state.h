#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "sdg/core/reducer.h"
#include "sdg/learn/beginnings.h"
#include "sdg/learn/slices.h"
#include "sdg/learn/step_shards.h"
#include "sdg/network/flat_parameters.h"
#include "sdg/network/network.h"

namespace sdg::learn {

/// What the learner and its objectives share: the networks and how far training has come. It is the same on all ranks,
/// to the bit, for it follows from figures and gradients of all ranks' images.
struct LearnerState {
  /// `reducer` must outlive this.
  LearnerState(const recipe::RunConfig& config, const at::Device& device, network::Network student,
               network::Network teacher, Reducer& reducer = Reducer::local());
  LearnerState(const LearnerState&) = delete;
  LearnerState& operator=(const LearnerState&) = delete;

  recipe::RunConfig config;
  at::Device device;
  Reducer& reducer;
  network::Network student;  ///< what is trained
  network::Network teacher;  ///< its average, which assigns clusters and samples
  network::FlatParameters flat, teacher_flat;
  std::vector<Tensor> model_parameters, head_parameters;  ///< of the student, in flat's order: the network's first, to
                                                          ///< which a projector's count
  int64_t model_size = 0;                                 ///< of flat, what belongs to the network
  Beginnings beginnings;
  int64_t steps_done = 0;
  /// Nothing of a step is read from the device until it is asked for: so on a GPU, unless ranks wait for each other
  /// there anyway. For tests it may be set on a CPU too, before the first step.
  bool no_waiting = false;

  bool whole_shards = true;  ///< has each rank whole shards of a step's batch (own_images.h)
  StepShards shards;         ///< of the step under way
  Slices slices;             ///< of flat, by rank
  bool sharded = false;      ///< does each rank step its slice alone (train.shard_state)
  /// Sharded, and no step looks through the average: between steps each rank has its slice of the average only.
  bool average_sharded = false;
  Tensor average;  ///< that slice; undefined while the whole is there

  /// What of flat this rank's optimizer steps: its slice, or all.
  RowRange stepped() const { return sharded ? slices.own() : RowRange{0, flat.values().size(0)}; }

  bool conditioned() const { return beginnings.conditioned(steps_done); }
  bool clustering() const { return beginnings.clustering(steps_done); }
  bool resting() const { return beginnings.resting(steps_done); }
};

/// Lets go of all of the average but this rank's slice, where that is what a rank keeps.
void divide_average(LearnerState& state);
/// All ranks together: the whole average is there again, on rank 0 or on all, until divide_average.
void gather_average(LearnerState& state, bool on_all);
/// The average becomes what is copied into it next.
void renew_average(LearnerState& state);

/// Moves the teacher after a step (train.teacher, train.ema), the head's average only once the head learns. Nothing
/// moves where `bad`, a bool scalar on the device, is true.
void update_teacher(LearnerState& state, const Tensor& bad = {});

/// Runs work(0) … work(shards - 1), each on a thread of its own with single-threaded kernels where the device is a CPU.
void in_parallel(const at::Device& device, int64_t shards, const std::function<void(int64_t)>& work);

}  // namespace sdg::learn
