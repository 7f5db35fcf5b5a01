// Where the head's rows come from, and what they are assigned to.
#include <algorithm>
#include <utility>

#include "sdg/cluster/sinkhorn.h"
#include "sdg/cluster/window_loss.h"
#include "sdg/learn/cluster_objective.h"
#include "sdg/learn/step_result.h"

namespace sdg::learn {
namespace {

class TwoViews : public ClusterObjective {
 public:
  using ClusterObjective::ClusterObjective;

  void before_pass(Shard& shard) override {
    ClusterObjective::before_pass(shard);
    if (state_.resting()) return;
    auto& part = part_of(shard);
    const auto x = looked_at(shard, shard.x);
    const auto eps = looked_at(shard, shard.draws.head_eps);
    part.t = looked_at(shard, shard.draws.head_t);
    if (x.size(0) == 0) {
      part.features = at::empty({0, state_.student.head->options().feature_dim}, x.options());
    } else {
      part.features = options().backbone > 0
                          ? network::features_with_gradient(state_.config, state_.student, x, eps, part.t)
                          : network::features_at(state_.config, state_.teacher, x, eps, part.t);
    }
  }

 protected:
  bool needs_teacher() const override { return true; }

  std::optional<Match> match(const cluster::HeadOutput& own, StepResult& result) override {
    result.sinkhorn = assign(joined(&Part::teacher_scores), state_.teacher);
    auto losses = losses_of(own.scores, *result.sinkhorn);  // [B] or [B*L]
    return Match{losses, part_of_mean(losses, head_ranks()), joined(&Part::teacher_embedding),
                 rows_of(&Part::teacher_embedding)};
  }
};

class OneView : public ClusterObjective {
 public:
  using ClusterObjective::ClusterObjective;

  void before_pass(Shard& shard) override {
    ClusterObjective::before_pass(shard);
    if (state_.resting()) return;
    shard.forward.feature_depth = network::feature_depth(state_.config, *state_.student.model);
    shard.keep_graph |= options().backbone > 0;
  }
  std::vector<Tensor> after_pass(Shard& shard) override {
    if (state_.resting()) return ClusterObjective::after_pass(shard);
    auto& part = part_of(shard);
    const auto& tokens = shard.output.features;  // [n, T, D]
    part.features = network::pool_tokens(state_.config, options().backbone > 0 ? tokens : tokens.detach(),
                                         state_.student.model->extra_tokens());
    part.t = shard.point.t;
    return ClusterObjective::after_pass(shard);
  }

 protected:
  std::optional<Match> match(const cluster::HeadOutput& own, StepResult& result) override {
    auto scores = own.scores;
    auto embedding = own.embedding;
    auto mask = cluster::in_window(joined(&Part::t), options().window_begin, options().window_end);  // [B]
    const auto per_image = scores.size(0) / mask.size(0);
    mask = options().window_tokens == cluster::WindowTokens::kTiled ? mask.repeat({per_image})
                                                                    : mask.repeat_interleave(per_image);
    const bool only_window = options().balance == cluster::Balance::kWindow;
    auto rows = rows_of(&Part::features);
    if (only_window) {
      int64_t first = 0;
      for (auto& count : rows) {  // of a shard those within the window; of use where rows are this rank's only
        const auto end = std::min(first + count, mask.size(0));
        const auto all = std::exchange(count, mask.slice(0, first, end).sum().item<int64_t>());
        first += all;
      }
      const auto inside = mask.nonzero().squeeze(1);
      if (head_ranks().sum(inside.numel()) == 0) return std::nullopt;
      scores = scores.index_select(0, inside);
      embedding = embedding.index_select(0, inside);
    }
    result.sinkhorn = assign(scores.detach(), state_.student);
    auto losses = losses_of(scores, *result.sinkhorn);
    if (!only_window) {
      const auto loss = cluster::window_mean(losses, mask, options().averaging, head_ranks());
      return Match{losses, loss, embedding.detach(), rows};
    }
    const bool over_batch = options().averaging == cluster::Averaging::kBatch;
    const auto count = head_ranks().sum(over_batch ? mask.size(0) : losses.size(0));
    return Match{losses, losses.sum() / static_cast<double>(count), embedding.detach(), rows};
  }
};

}  // namespace

std::unique_ptr<ClusterObjective> two_views(LearnerState& state, int64_t images) {
  return std::make_unique<TwoViews>(state, images);
}

std::unique_ptr<ClusterObjective> one_view(LearnerState& state, int64_t images) {
  return std::make_unique<OneView>(state, images);
}

}  // namespace sdg::learn
