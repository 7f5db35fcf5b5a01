#pragma once
#include <compare>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sdg/core/replay.h"
#include "sdg/learn/objective.h"

namespace sdg::learn {

/// The passes of a step's shards through the networks, forward and backward, recorded and replayed (core/replay.h): the
/// first shard of a kind is computed as it stands, the second recorded, all further ones replayed, in one thread.
/// Inputs are the shard's tensors; weights are read where they lie, as they then are.
class RecordedPasses {
 public:
  using Computed = std::vector<std::vector<Tensor>>;  ///< of each objective, as its after_pass gives it
  /// Computes a shard and sets its `ids`.
  using Compute = std::function<Computed(Shard& shard)>;
  /// How far training is: what else decides what a pass does, beside the shard.
  struct Stage {
    bool conditioned = false, clustering = false, guided = false;
    auto operator<=>(const Stage&) const = default;
  };

  explicit RecordedPasses(MakeRecording make) : make_(std::move(make)) {}

  /// compute(shard), or what a recording of it comes to. `shard` is then lent.
  Computed operator()(Shard& shard, const Stage& stage, const Compute& compute);

 private:
  struct Kind {
    Stage stage;
    int64_t images = 0, batch = 0;
    model::Condition::Mode mode = model::Condition::Mode::kNull;
    unsigned there = 0;  // which of the shard's tensors
    auto operator<=>(const Kind&) const = default;
  };
  struct Recorded {
    Replay replay;
    bool ids = false;                      // are they among what comes out
    std::vector<std::vector<bool>> there;  // which of the tensors of each objective are
  };
  std::vector<Tensor> compute_now(const Kind& kind, const std::vector<Tensor>& inputs);

  MakeRecording make_;
  std::map<Kind, Recorded> recorded_;
  // Of the call under way.
  Shard* shard_ = nullptr;
  const Compute* compute_ = nullptr;
};

/// Why passes of such a run cannot be recorded: what in them the host decides. Empty where they can.
std::string why_not_recorded(const recipe::RunConfig& config);

}  // namespace sdg::learn
