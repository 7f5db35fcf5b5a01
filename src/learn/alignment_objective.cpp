#include "sdg/learn/alignment_objective.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "learn/number_text.h"
#include "sdg/core/error.h"
#include "sdg/learn/step_result.h"

namespace sdg::learn {

AlignmentObjective::AlignmentObjective(const LearnerState& state, FeaturesFn features)
    : state_(state),
      features_(std::move(features)),
      depth_(network::alignment_depth(state.config, *state.student.model)) {
  SDG_ASSERT(state.student.projector, "an alignment without a projector");
}

std::unique_ptr<AlignmentObjective> align_with(const LearnerState& state,
                                               std::shared_ptr<const AlignmentTarget> target) {
  const auto depth = network::alignment_depth(state.config, *state.student.model);
  const auto tokens = state.student.model->feature_tokens(depth);
  const int64_t side = std::llround(std::sqrt(static_cast<double>(tokens)));
  SDG_CHECK_USAGE(!target->places || side * side == tokens, "align.extractor: ", target->name,
                  " has a feature for every place of a square, and block ", depth, " has ", tokens, " tokens");
  return std::make_unique<AlignmentObjective>(
      state, [target = std::move(target), side](const Shard& shard) { return target->features(shard.x, side); });
}

std::unique_ptr<AlignmentObjective> align_with_itself(const LearnerState& state) {
  const auto depth = network::alignment_target_depth(state.config, *state.teacher.model);
  return std::make_unique<AlignmentObjective>(state, [&state, depth](const Shard& shard) {
    const at::NoGradGuard no_grad;
    const auto on_device = [&](const Tensor& drawn) { return drawn.to(state.device); };
    const auto t = (shard.point.t + on_device(shard.draws.shift)).clamp_max(1);
    const auto tokens =
        network::tokens_at(state.config, state.teacher, shard.x, on_device(shard.draws.eps), t, {depth});
    return tokens.front().slice(1, state.teacher.model->extra_tokens());  // [n, L, D]
  });
}

void AlignmentObjective::begin(int64_t shards) {
  sum_.begin(state_, OrderedSum::Exchange::kAtTheEnd);
  asked_.assign(static_cast<size_t>(shards), 0);
}

void AlignmentObjective::before_pass(Shard& shard) {
  auto& depths = shard.forward.feature_depths;
  asked_[static_cast<size_t>(shard.number)] = depths.size();
  depths.push_back(depth_);
  shard.keep_graph = true;
}

std::vector<Tensor> AlignmentObjective::after_pass(Shard& shard) {
  const auto& tokens = shard.output.all_features.at(asked_[static_cast<size_t>(shard.number)]);  // [n, T, D]
  const auto places = tokens.slice(1, state_.student.model->extra_tokens());                     // [n, L, D]
  const auto features = features_(shard);                                                        // [n, L or 1, Z]
  const auto losses = network::alignment_losses(state_.student.projector, places, features);     // [n]
  const auto loss = losses.sum() * (state_.config.align.weight / static_cast<double>(shard.batch));
  auto out =
      torch::autograd::grad({loss}, state_.model_parameters, {}, /*retain_graph=*/true, false, /*allow_unused=*/true);
  out.push_back(loss.detach());
  return out;
}

void AlignmentObjective::take(const Shard& shard, std::vector<Tensor> computed) {
  sum_.add_with_loss(shard, std::move(computed));
}

Contribution AlignmentObjective::join(StepResult& result) {
  auto out = sum_.take();
  result.alignment_loss =
      out.loss.known() ? Figure(out.loss / state_.config.align.weight) : out.loss.times(1 / state_.config.align.weight);
  SDG_CHECK(!out.loss.known() || std::isfinite(out.loss), "the alignment loss is ", number_text(out.loss));
  return out;
}

}  // namespace sdg::learn
