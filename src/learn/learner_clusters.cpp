// The half of a training step that finds clusters: the teacher's look, the head's loss, the averages.
#include <torch/csrc/autograd/autograd.h>

#include "learn/learner_shard.h"
#include "sdg/cluster/softmax_assignment.h"
#include "sdg/cluster/window_loss.h"

namespace sdg::learn {
namespace {

// The conditions of the last few hundred steps decide the prior: older ones come from clusters that have moved since.
constexpr double kPriorDecay = 0.99;

void follow_buffers(torch::nn::Module& teacher, const torch::nn::Module& student, double keep) {
  const auto source = student.named_buffers();
  for (auto& entry : teacher.named_buffers()) {
    const auto& from = source[entry.key()];
    if (entry.value().is_floating_point()) {
      entry.value().lerp_(from, 1 - keep);
    } else {
      entry.value().copy_(from);
    }
  }
}

template <class Shard>
Tensor joined(const std::vector<Shard>& shards, Tensor Shard::* member) {
  std::vector<Tensor> parts;
  parts.reserve(shards.size());
  for (const auto& shard : shards) parts.push_back(shard.*member);
  return at::cat(parts);
}

}  // namespace

// The teacher looks at each image once at teacher_time; with two views the head learns from a second look, through
// other noise and at a time of the window, so that only what survives the noise can be predicted.
void Learner::cluster_views(const Tensor& x, const Draws& draws, Shard& shard) {
  const bool two_views = config_.cluster.views == cluster::Views::kTwo;
  if (two_views || conditioned() || config_.condition.stable > 0) {
    const auto t = at::full({x.size(0)}, config_.cluster.teacher_time, x.options());
    const at::NoGradGuard no_grad;
    const auto seen =
        teacher_.head->forward(network::features_at(config_, teacher_, x, draws.teacher_eps.to(device_), t));
    shard.teacher_scores = seen.scores;        // [n, K] or [n*L, K]
    shard.teacher_embedding = seen.embedding;  // [n, p] or [n*L, p]
    shard.ids = shard.teacher_scores.argmax(1);
    if (network::patch_level(config_)) shard.ids = shard.ids.view({x.size(0), -1});
  }
  if (!two_views) return;
  shard.head_t = draws.head_t.to(device_);
  const auto eps = draws.head_eps.to(device_);
  shard.head_features = config_.cluster.backbone > 0
                            ? network::features_with_gradient(config_, student_, x, eps, shard.head_t)
                            : network::features_at(config_, teacher_, x, eps, shard.head_t);
}

// Balanced with the rows of earlier steps; of the answer only the batch's own rows are learned from.
cluster::SinkhornResult Learner::assign(const Tensor& scores, const network::Network& scorer) const {
  const auto& options = config_.cluster;
  auto all = scores;
  if (queue_.capacity() > 0 && queue_.seen() > 0) {
    const at::NoGradGuard no_grad;
    all = at::cat({scores, queue_.rows().matmul(scorer.head->prototypes->weight.t())});
  }
  if (options.assign == cluster::Assign::kSoftmax) return cluster::softmax_assignment(all, options.epsilon);
  cluster::SinkhornOptions sinkhorn;
  sinkhorn.epsilon = options.epsilon;
  sinkhorn.iterations = options.iterations;
  return cluster::sinkhorn(all, sinkhorn);
}

// Backward through each shard's own graph, on the shard's own thread as before; summed in the shards' order.
Tensor Learner::backbone_gradient(std::vector<Shard>& shards, const Tensor& of_features) {
  std::vector<Tensor> gradients(shards.size());
  std::vector<int64_t> first(shards.size(), 0);
  for (size_t i = 1; i < shards.size(); ++i) first[i] = first[i - 1] + shards[i - 1].head_features.size(0);
  const auto one = [&](int64_t i) {
    auto& features = shards[static_cast<size_t>(i)].head_features;
    const auto own = of_features.narrow(0, first[static_cast<size_t>(i)], features.size(0));
    gradients[static_cast<size_t>(i)] =
        flat_.flatten(torch::autograd::grad({features}, model_parameters_, {own}, {}, false, /*allow_unused=*/true));
    features = features.detach();
  };
  for_each_shard(static_cast<int64_t>(shards.size()), one);
  for (size_t i = 1; i < gradients.size(); ++i) gradients[0].add_(gradients[i]);
  return gradients[0];
}

// The head needs the whole batch (its BatchNorm, Sinkhorn), and is small: one thread, after the shards. `queued` gets
// the embeddings that later steps are balanced with.
Tensor Learner::cluster_gradient(std::vector<Shard>& shards, StepResult& result, Tensor& queued) {
  const auto& options = config_.cluster;
  const bool two_views = options.views == cluster::Views::kTwo, into_backbone = options.backbone > 0;
  student_.head->normalize_prototypes();
  const auto features = joined(shards, &Shard::head_features).detach().requires_grad_(into_backbone);
  const auto own = student_.head->forward(features);  // scores [B, K] or [B*L, K]

  auto scores = own.scores;
  Tensor losses, loss;
  if (two_views) {
    result.sinkhorn = assign(joined(shards, &Shard::teacher_scores), teacher_);
    queued = joined(shards, &Shard::teacher_embedding);
    losses = cluster::assignment_loss(scores, result.sinkhorn->assignments.narrow(0, 0, scores.size(0)),
                                      options.temperature);  // [B] or [B*L]
    loss = losses.mean();
  } else {
    auto mask = cluster::in_window(joined(shards, &Shard::head_t), options.window_begin, options.window_end);  // [B]
    const auto per_image = scores.size(0) / mask.size(0);
    mask = options.window_tokens == cluster::WindowTokens::kTiled ? mask.repeat({per_image})
                                                                  : mask.repeat_interleave(per_image);
    auto embedding = own.embedding;
    if (options.balance == cluster::Balance::kWindow) {
      const auto inside = mask.nonzero().squeeze(1);
      if (inside.numel() == 0) return at::zeros_like(flat_.values());
      scores = scores.index_select(0, inside);
      embedding = embedding.index_select(0, inside);
    }
    result.sinkhorn = assign(scores.detach(), student_);
    queued = embedding.detach();
    losses = cluster::assignment_loss(scores, result.sinkhorn->assignments.narrow(0, 0, scores.size(0)),
                                      options.temperature);
    if (options.balance == cluster::Balance::kWindow) {
      const bool over_batch = options.averaging == cluster::Averaging::kBatch;
      loss = losses.sum() / static_cast<double>(over_batch ? mask.size(0) : losses.size(0));
    } else {
      loss = cluster::window_mean(losses, mask, options.averaging);
    }
  }
  result.cluster_weight = options.ramp
                              ? cluster::warm_up_weight(steps_done_, static_cast<double>(change_at_), options.weight)
                              : options.weight;
  result.cluster_loss = losses.mean().item<double>();
  result.cluster_window = loss.item<double>();

  auto wanted = head_parameters_;
  if (into_backbone) wanted.push_back(features);
  auto gradients = torch::autograd::grad({result.cluster_weight * loss}, wanted);
  Tensor of_features;
  if (into_backbone) {
    of_features = gradients.back() * options.backbone;
    gradients.pop_back();
  }
  auto out = flat_.flatten(gradients, model_parameters_.size());
  if (into_backbone) out.add_(backbone_gradient(shards, of_features));
  return out;
}

void Learner::update_teacher() {
  const at::NoGradGuard no_grad;
  auto ours = teacher_flat_.values();
  const auto& theirs = flat_.values();
  if (config_.train.teacher == recipe::Teacher::kChange && config_.condition.source == recipe::Source::kOnline) {
    if (steps_done_ < change_at_) return;
    if (steps_done_ == change_at_) {
      ours.copy_(theirs);
      if (student_.head) follow_buffers(*teacher_.head, *student_.head, 0);
    }
    ours.lerp_(theirs, 1 - config_.train.ema);
    return;
  }
  const double keep_model = ema_decay(config_.train, steps_done_);
  ours.narrow(0, 0, model_size_).lerp_(theirs.narrow(0, 0, model_size_), 1 - keep_model);
  if (!student_.head || !clustering()) return;
  // The head's average starts anew with the head: its first steps say as little as the network's.
  const double keep = ema_decay(config_.train, steps_done_ - cluster_from_);
  const auto head_size = ours.numel() - model_size_;
  ours.narrow(0, model_size_, head_size).lerp_(theirs.narrow(0, model_size_, head_size), 1 - keep);
  follow_buffers(*teacher_.head, *student_.head, keep);
}

void Learner::update_prior(const StepResult& result) {
  if (config_.condition.source != recipe::Source::kOnline || !result.ids.defined()) return;
  const auto ids = result.ids.cpu();
  prior_counts_.mul_(kPriorDecay);
  prior_counts_ += at::bincount(ids.flatten(), {}, classes_).to(at::kDouble);
  if (!maps_.defined()) return;
  for (int64_t i = 0; i < ids.size(0); ++i) maps_[maps_seen_++ % maps_.size(0)].copy_(ids[i]);
}

// Conditions begin with the next step once clusters hold still.
void Learner::watch_agreement(const data::Batch& batch, StepResult& result) {
  if (config_.condition.source != recipe::Source::kOnline || !result.ids.defined()) return;
  agreement_.see(batch.index, result.ids);
  result.agreement = agreement_.value();
  const double wanted = config_.condition.stable;
  if (wanted > 0 && result.agreement >= wanted && steps_done_ + 1 < change_at_) {
    change_at_ = steps_done_ + 1;
    came_early_ = true;
    result.stable_now = true;
  }
}

}  // namespace sdg::learn
