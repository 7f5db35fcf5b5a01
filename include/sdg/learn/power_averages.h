#pragma once
#include <array>
#include <map>
#include <string>

#include "sdg/learn/learner_state.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::learn {

/// The two averages of average.track (average/profile.h) while a run trains: of every trained number, counted from the
/// first step. Nothing looks at them, so they change nothing. With train.shard_state each rank has its slice.
class PowerAverages {
 public:
  /// What they are called in files.
  static constexpr std::array kNames{"narrow", "wide"};

  explicit PowerAverages(const LearnerState& state);
  bool on() const { return averages_.front().defined(); }

  /// After the weights moved in the step that makes state.steps_done one more; not where `bad`, a bool scalar on the
  /// device, is true.
  void follow(const LearnerState& state, const Tensor& bad);

  /// All ranks together: rank 0 has all of them until the next step.
  void gather(const LearnerState& state);
  /// Of the network alone, as NAME.parameter: what snapshots hold. A head's and a projector's are left out: clusters
  /// are those of the teacher's head, and drawing needs no projector. On rank 0 after gather().
  std::map<std::string, Tensor> of_network(const LearnerState& state) const;

  /// For a run that goes on, under average.NAME.parameter; as of_network().
  void save(const LearnerState& state, tensors::TensorFile& file) const;
  void load(const LearnerState& state, const tensors::TensorFile& file, const std::string& where);

 private:
  const Tensor& whole(const LearnerState& state, size_t which) const;

  std::array<double, 2> gammas_{};
  std::array<Tensor, 2> averages_;  // of what state.stepped() says
  std::array<Tensor, 2> gathered_;  // [P] on rank 0, sharded, after gather()
};

}  // namespace sdg::learn
