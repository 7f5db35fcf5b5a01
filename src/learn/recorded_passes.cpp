#include "sdg/learn/recorded_passes.h"

#include <array>
#include <utility>

#include "sdg/core/precision.h"
#include "sdg/core/rng.h"
#include "sdg/recipe/source.h"

namespace sdg::learn {
namespace {

auto tensors_of(Shard& shard, Tensor& dropout) {
  auto& draws = shard.draws;
  auto& told = shard.told;
  return std::array{&shard.x,     &draws.eps,         &draws.t,        &draws.drop,   &draws.strength,
                    &draws.shift, &draws.teacher_eps, &draws.head_eps, &draws.head_t, &shard.ids,
                    &told.value,  &told.drop,         &told.map,       &dropout};
}

// A step's kept bf16 copies of weights must be made in the recording, and anew in each replay.
class CastsOfThePass {
 public:
  CastsOfThePass() { forget_casts(); }
  ~CastsOfThePass() { forget_casts(); }
  CastsOfThePass(const CastsOfThePass&) = delete;
  CastsOfThePass& operator=(const CastsOfThePass&) = delete;
};

}  // namespace

std::vector<Tensor> RecordedPasses::compute_now(const Kind& kind, const std::vector<Tensor>& inputs) {
  auto shard = *shard_;
  auto masks = *shard_->forward.dropout;
  size_t next = 0;
  for (auto* tensor : tensors_of(shard, masks.counters))
    if (tensor->defined()) *tensor = inputs[next++];
  shard.forward.dropout = std::make_shared<model::DropoutDraw>(std::move(masks));
  const CastsOfThePass casts;
  const auto computed = (*compute_)(shard);
  auto& recorded = recorded_.at(kind);
  recorded.there.clear();
  std::vector<Tensor> out;
  recorded.ids = shard.ids.defined();
  if (recorded.ids) out.push_back(shard.ids);
  for (const auto& tensors : computed) {
    auto& there = recorded.there.emplace_back();
    for (const auto& tensor : tensors) {
      there.push_back(tensor.defined());
      if (tensor.defined()) out.push_back(tensor);
    }
  }
  return out;
}

RecordedPasses::Computed RecordedPasses::operator()(Shard& shard, const Stage& stage, const Compute& compute) {
  auto masks = *shard.forward.dropout;
  masks.counters = rng::counters(shard.sample, shard.x.device());
  shard.forward.dropout = std::make_shared<model::DropoutDraw>(masks);
  Kind kind{stage, shard.x.size(0), shard.batch, shard.told.mode, 0};
  std::vector<Tensor> inputs;
  for (const auto* tensor : tensors_of(shard, masks.counters)) {
    kind.there = 2 * kind.there + (tensor->defined() ? 1 : 0);
    if (tensor->defined()) inputs.push_back(*tensor);
  }
  if (!recorded_.empty() && recorded_.begin()->first.stage != stage) recorded_.clear();  // it does not come back
  auto found = recorded_.find(kind);
  if (found == recorded_.end()) {
    const auto work = [this, kind](const std::vector<Tensor>& in) { return compute_now(kind, in); };
    found = recorded_.try_emplace(kind, Recorded{Replay("a pass of training", work, make_), false, {}}).first;
  }
  shard_ = &shard;
  compute_ = &compute;
  auto& recorded = found->second;
  const auto row = recorded.replay.lend(inputs);
  shard.lent = true;
  size_t next = 0;
  if (recorded.ids) shard.ids = row[next++].clone();
  Computed out;
  for (const auto& there : recorded.there) {
    auto& tensors = out.emplace_back();
    for (const bool is : there) tensors.push_back(is ? row[next++] : Tensor());
  }
  return out;
}

std::string why_not_recorded(const recipe::RunConfig& config) {
  const bool online = recipe::facts_of(config).online;
  if (online && config.cluster.refresh < 1) return "cluster.refresh below 1 keeps clusters on the host";
  if (online && config.cluster.end < 1) return "cluster.end keeps clusters on the host";
  if (online && config.cluster.backbone > 0) return "cluster.backbone takes gradients after the passes";
  if (config.align.with_another()) return "align.extractor asks another network";
  return {};
}

}  // namespace sdg::learn
