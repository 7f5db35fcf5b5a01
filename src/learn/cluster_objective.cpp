#include "sdg/learn/cluster_objective.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "learn/head_guard.h"
#include "learn/number_text.h"
#include "learn/taken.h"
#include "sdg/cluster/softmax_assignment.h"
#include "sdg/cluster/window_loss.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/learn/ordered_sum.h"
#include "sdg/learn/state.h"
#include "sdg/learn/step_result.h"
#include "sdg/recipe/source.h"

namespace sdg::learn {
namespace {

int64_t patches_of(const LearnerState& state) {
  return network::patch_level(state.config) ? state.student.model->patch_tokens() : 1;
}

// Rows that the queue keeps: enough for 2 K together with those of a batch that are balanced.
int64_t queue_rows(const recipe::RunConfig& config, int64_t patches) {
  const auto& options = config.cluster;
  if (options.queue >= 0) return options.queue;
  const bool only_window = options.views == cluster::Views::kOne && options.balance == cluster::Balance::kWindow;
  const double share = only_window                             ? options.window_end - options.window_begin
                       : options.views == cluster::Views::kTwo ? options.refresh
                                                               : 1;
  const auto images = static_cast<int64_t>(share * static_cast<double>(config.train.batch));
  return cluster::queue_rows(options.clusters, images * patches);
}

bool worth_gathering(const LearnerState& state) {
  const auto numbers = state.config.train.batch * patches_of(state) * state.student.head->options().feature_dim;
  return state.reducer.ranks() > 1 && numbers <= state.reducer.worth_gathering;
}

}  // namespace

ClusterObjective::ClusterObjective(LearnerState& state, int64_t images)
    : state_(state),
      gathered_(worth_gathering(state)),
      queue_(queue_rows(state.config, patches_of(state)), state.student.head->options().dim, state.device),
      agreement_(images, patches_of(state)) {
  const bool patches = network::patch_level(state.config);
  if (recipe::keeps_clusters(state.config)) kept_ = KeptClusters(images, patches ? patches_of(state) : 0);
  if (!recipe::tells_embeddings(state.config)) return;
  tokens_ = KeptTokens(images, state.student.head->options().dim);
  auto told = std::make_shared<network::StoredConditions>();  // the same memory: always what was seen last
  told->values = tokens_.all();
  told->clusters = kept_.all().select(1, 0);
  state_.teacher.stored = std::move(told);
}

ClusterObjective::~ClusterObjective() = default;

void ClusterObjective::begin(int64_t shards) {
  parts_.assign(static_cast<size_t>(shards), {});
  queued_ = Tensor();
  queued_rows_.clear();
}

bool ClusterObjective::needs_teacher() const {
  return state_.conditioned() || state_.config.condition.stable > 0 || state_.student.head->options().centroids;
}

// Which images of the shard are looked at.
void ClusterObjective::choose(const Shard& shard) {
  auto& part = part_of(shard);
  if (!kept_.keeps()) return;
  part.index.clear();
  const double share = state_.resting() ? 0 : options().refresh;
  const auto upto = [&](int64_t sample) { return std::floor(static_cast<double>(sample) * share); };
  std::vector<int64_t> rows;
  for (size_t i = 0; i < shard.index.size(); ++i) {
    const bool due = upto(shard.sample[i] + 1) > upto(shard.sample[i]);
    const bool wanted = state_.conditioned() && !kept_.has(shard.index[i]);
    if (!due && !wanted) continue;
    rows.push_back(static_cast<int64_t>(i));
    part.index.push_back(shard.index[i]);
  }
  if (rows.size() < shard.index.size()) part.looked = at::tensor(rows, at::kLong);
}

Tensor ClusterObjective::looked_at(const Shard& shard, const Tensor& all) {
  const auto& rows = part_of(shard).looked;
  return (rows.defined() ? all.index_select(0, rows.to(all.device())) : all).to(state_.device);
}

void ClusterObjective::before_pass(Shard& shard) {
  if (!needs_teacher()) return;
  const at::NoGradGuard no_grad;
  choose(shard);
  auto& part = part_of(shard);
  const auto x = looked_at(shard, shard.x);
  const auto& head = state_.teacher.head->options();
  part.teacher_scores = at::empty({0, head.clusters}, x.options());
  part.teacher_embedding = at::empty({0, head.dim}, x.options());
  if (x.size(0) > 0) {
    const auto t = at::full({x.size(0)}, options().teacher_time, x.options());
    const auto eps = looked_at(shard, shard.draws.teacher_eps);
    const auto seen = state_.teacher.head->forward(network::features_at(state_.config, state_.teacher, x, eps, t));
    part.teacher_scores = seen.scores;        // [n, K] or [n*L, K]
    part.teacher_embedding = seen.embedding;  // [n, p] or [n*L, p]
  }
  part.ids = part.teacher_scores.argmax(1);
  if (network::patch_level(state_.config)) part.ids = part.ids.view({x.size(0), patches_of(state_)});
  tell(shard);
}

// What was seen just now or, of images that were not looked at, last.
void ClusterObjective::tell(Shard& shard) {
  const auto& part = part_of(shard);
  if (kept_.keeps() && !state_.conditioned()) return;
  const auto with_earlier = [&](const Tensor& now, const auto& earlier) {
    if (!part.looked.defined()) return now;
    return to_device(earlier.of(shard.index), state_.device).index_copy_(0, part.looked.to(state_.device), now);
  };
  shard.ids = with_earlier(part.ids, kept_);  // [n] or [n, L]
  if (tokens_.keeps()) shard.tokens = with_earlier(network::as_tokens(state_.config, part.teacher_embedding), tokens_);
}

std::vector<Tensor> ClusterObjective::after_pass(Shard& shard) {
  const auto& part = part_of(shard);
  return {part.teacher_scores, part.teacher_embedding, part.features, part.t, part.ids};
}

void ClusterObjective::take(const Shard& shard, std::vector<Tensor> computed) {
  auto& part = part_of(shard);
  if (!kept_.keeps()) part.index = shard.index;
  const std::array members{&part.teacher_scores, &part.teacher_embedding, &part.features, &part.t, &part.ids};
  for (size_t i = 0; i < members.size(); ++i) *members[i] = kept(shard, computed[i]);
}

Tensor ClusterObjective::own_joined(Tensor Part::* member) const {
  std::vector<Tensor> all;
  all.reserve(parts_.size());
  for (const auto& part : parts_) all.push_back(part.*member);
  return at::cat(all);
}

std::vector<int64_t> ClusterObjective::rows_of(Tensor Part::* member) const {
  std::vector<int64_t> out;
  for (const auto& part : parts_) out.push_back((part.*member).size(0));
  return out;
}

// In the order of the shards, from `rows` rows of each shard of this rank's.
Tensor ClusterObjective::of_all_ranks(const Tensor& own, const std::vector<int64_t>& rows) const {
  const auto& shards = state_.shards;
  if (state_.reducer.ranks() == 1) return own;
  return gather_in_order(own.detach(), gather_counts(rows, shards, state_.reducer), shards, state_.reducer);
}

Tensor ClusterObjective::joined(Tensor Part::* member) const {
  const auto own = own_joined(member);
  return gathered_ ? of_all_ranks(own, rows_of(member)) : own;
}

cluster::SinkhornResult ClusterObjective::assign(const Tensor& scores, const network::Network& scorer) const {
  auto all = scores;
  if (queue_.capacity() > 0 && queue_.seen() > 0) {
    const at::NoGradGuard no_grad;
    all = at::cat({scores, queue_.rows(head_ranks()).matmul(scorer.head->prototypes->weight.t())});
  }
  if (options().assign == cluster::Assign::kSoftmax)
    return cluster::softmax_assignment(all, options().epsilon, head_ranks(), state_.no_waiting);
  cluster::SinkhornOptions sinkhorn;
  sinkhorn.epsilon = options().epsilon;
  sinkhorn.iterations = options().iterations;
  sinkhorn.no_waiting = state_.no_waiting && options().iterations > 0;
  return cluster::sinkhorn(all, sinkhorn, head_ranks());
}

Tensor ClusterObjective::losses_of(const Tensor& scores, const cluster::SinkhornResult& assigned) const {
  return cluster::assignment_loss(scores, assigned.assignments.narrow(0, 0, scores.size(0)), options().temperature);
}

Contribution ClusterObjective::join(StepResult& result) {
  if (state_.resting()) return {};
  auto& head = state_.student.head;
  // A small share of a small batch may hold too few rows for the head's statistics.
  if (kept_.keeps() && head_ranks().sum(joined(&Part::features).size(0)) < 2) return {};
  guard_ = std::make_unique<HeadGuard>(head);
  Contribution out;
  try {
    head->normalize_prototypes();
    const auto features = joined(&Part::features).detach().requires_grad_(options().backbone > 0);
    const auto own = head->forward(features, head_ranks());  // scores [B, K] or [B*L, K]
    const auto matched = match(own, result);
    if (!matched) {
      return {};
    }
    queued_ = matched->queued;
    queued_rows_ = matched->queued_rows;
    result.cluster_weight =
        options().ramp ? cluster::warm_up_weight(state_.steps_done, static_cast<double>(state_.beginnings.conditions()),
                                                 options().weight)
                       : options().weight;
    const auto of_all = [&](const Tensor& part) {
      return state_.no_waiting ? Figure::of(part) : Figure(head_ranks().sum(part.item<double>()));
    };
    result.cluster_loss = of_all(part_of_mean(matched->losses, head_ranks()));
    result.cluster_window = of_all(matched->loss);
    set_gradient(result.cluster_weight * matched->loss, features, out);
  } catch (const RankError&) {
    throw;
  } catch (const Error& error) {
    throw Error(cat("the clustering loss: ", error.what()));
  }
  SDG_CHECK(state_.no_waiting || (std::isfinite(result.cluster_loss) && std::isfinite(result.cluster_window)),
            "the clustering loss is ", number_text(result.cluster_loss));
  out.loss = result.cluster_window.times(result.cluster_weight);
  return out;
}

// Of the head and, with cluster.backbone, of the network; of all ranks' rows, and what of it this rank steps.
void ClusterObjective::set_gradient(const Tensor& loss, const Tensor& features, Contribution& out) {
  auto wanted = state_.head_parameters;
  const bool into_backbone = features.requires_grad();
  if (into_backbone) wanted.push_back(features);
  auto gradients = torch::autograd::grad({loss}, wanted);
  Tensor of_features;
  if (into_backbone) {
    of_features = gradients.back() * options().backbone;
    gradients.pop_back();
  }
  std::vector<Tensor> pieces;
  for (const auto& gradient : gradients) pieces.push_back(gradient.reshape({-1}));
  const auto of_head = head_ranks().all_reduce(at::cat(pieces));
  const auto own = state_.stepped();
  const auto begin = std::max(own.begin, state_.model_size);
  const auto stepped = of_head.slice(0, begin - state_.model_size, std::max<int64_t>(0, own.end - state_.model_size));
  out.gradient = stepped;
  out.first = stepped.size(0) > 0 ? begin - own.begin : 0;
  if (!into_backbone) return;
  out.gradient = backbone_gradient(of_features);
  if (stepped.size(0) > 0) out.gradient.narrow(0, out.first, stepped.size(0)).add_(stepped);
  out.first = 0;
}

// Backward through each shard's own graph, on the shard's own thread as before; summed in the shards' order.
Tensor ClusterObjective::backbone_gradient(const Tensor& of_features) {
  OrderedSum sum;
  sum.begin(state_, OrderedSum::Exchange::kAsTheyCome);
  std::vector<int64_t> first(parts_.size(), 0);  // row of each shard
  const auto rows = rows_of(&Part::features);
  if (gathered_) {
    const auto all = gather_counts(rows, state_.shards, state_.reducer);
    const auto& numbers = state_.shards.numbers;
    const auto& own = numbers[static_cast<size_t>(state_.reducer.rank())];
    for (size_t rank = 0; rank < all.size(); ++rank) {
      for (size_t k = 0; k < all[rank].size(); ++k) {
        for (size_t i = 0; i < own.size(); ++i) first[i] += numbers[rank][k] < own[i] ? all[rank][k] : 0;
      }
    }
  } else {
    for (size_t i = 1; i < rows.size(); ++i) first[i] = first[i - 1] + rows[i - 1];
  }
  in_parallel(state_.device, static_cast<int64_t>(parts_.size()), [&](int64_t number) {
    const auto i = static_cast<size_t>(number);
    auto& features = parts_[i].features;
    const auto own = of_features.narrow(0, first[i], features.size(0));
    std::vector<Tensor> gradients;
    if (features.requires_grad())
      gradients = torch::autograd::grad({features}, state_.model_parameters, {own}, {}, false, /*allow_unused=*/true);
    sum.add(number, 0, std::move(gradients));
    features = features.detach();
  });
  return sum.take().gradient;
}

void ClusterObjective::keep(const data::Batch& /*batch*/, StepResult& result) {
  if (guard_ && result.bad.defined()) guard_->keep_unless(result.bad);
  if (guard_ && !result.bad.defined()) guard_->keep();
  guard_.reset();
  if (result.bad.defined()) {
    seen_before_.push_back(queue_.seen());
    if (queued_.defined()) queue_.push_unless(result.bad, queued_);
  } else if (queued_.defined()) {
    queue_.push(gathered_ ? queued_ : of_all_ranks(queued_, queued_rows_));
  }
  if (parts_.front().ids.defined()) {
    std::vector<int64_t> index;
    for (const auto& part : parts_) index.insert(index.end(), part.index.begin(), part.index.end());
    const auto rows = rows_of(&Part::ids);
    const auto of_all = of_all_ranks(at::tensor(index, at::kLong), rows).contiguous();
    const auto ids = of_all_ranks(own_joined(&Part::ids), rows);
    index.assign(of_all.const_data_ptr<int64_t>(), of_all.const_data_ptr<int64_t>() + of_all.numel());
    if (!state_.resting()) follow_members(ids, result);
    watch_agreement(index, ids, result);
    if (kept_.keeps()) kept_.remember(index, ids);
    if (tokens_.keeps()) {
      const auto seen = network::as_tokens(state_.config, own_joined(&Part::teacher_embedding));
      tokens_.remember(index, of_all_ranks(seen, rows));
    }
  }
  show_rested(state_.steps_done + 1);
  parts_.clear();
}

// Whoever asks the teacher for clusters is answered with those that conditions are.
void ClusterObjective::show_rested(int64_t steps_done) {
  state_.teacher.rested = state_.beginnings.resting(steps_done) ? kept_.all() : Tensor();
}

void ClusterObjective::settled(size_t undone) {
  const auto known = seen_before_.size();
  if (undone > 0 && known > 0) queue_.rewind(seen_before_[known - std::min(known, undone)]);
  seen_before_.clear();
}

void ClusterObjective::undo() {
  guard_.reset();
  parts_.clear();
}

// `ids` are of all ranks.
void ClusterObjective::follow_members(const Tensor& ids, const StepResult& result) {
  auto& head = state_.student.head;
  if (!head->options().centroids) return;
  const auto own = own_joined(&Part::teacher_embedding);
  if (gathered_) {
    const auto all = of_all_ranks(own, rows_of(&Part::teacher_embedding));
    head->follow_members(all, ids.flatten().to(own.device()), Reducer::local(), result.bad);
  } else {
    head->follow_members(own, own_joined(&Part::ids).flatten(), state_.reducer, result.bad);
  }
}

// Conditions begin with the next step once clusters hold still.
void ClusterObjective::watch_agreement(const std::vector<int64_t>& index, const Tensor& ids, StepResult& result) {
  if (result.bad.defined()) {
    agreement_.see_unless(result.bad, index, ids);
  } else {
    agreement_.see(index, ids);
  }
  result.agreement = agreement_.value();
  const double wanted = state_.config.condition.stable;
  // On a device the question waits for it, in each step until conditions have begun.
  if (wanted > 0 && state_.steps_done + 1 < state_.beginnings.conditions() && result.agreement >= wanted) {
    state_.beginnings.begin_now(state_.steps_done + 1);
    result.stable_now = true;
  }
}

void ClusterObjective::save(tensors::TensorFile& file) const {
  file.tensors["agreement.memory"] = agreement_.memory();
  file.tensors["agreement.figures"] = agreement_.figures();
  kept_.save(file);
  tokens_.save(file);
  if (queue_.capacity() == 0) return;
  file.tensors["queue"] = queue_.data();
  file.tensors["queue_seen"] = at::scalar_tensor(queue_.seen(), at::kLong);
}

void ClusterObjective::load(const tensors::TensorFile& file, const std::string& where) {
  if (file.tensors.count("agreement.memory"))
    agreement_.restore(file.at("agreement.memory", where), file.at("agreement.figures", where));
  kept_.load(file, where);
  tokens_.load(file, where);
  show_rested(state_.steps_done);
  if (queue_.capacity() > 0 && file.tensors.count("queue"))
    queue_.restore(file.at("queue", where), file.at("queue_seen", where).item<int64_t>());
}

}  // namespace sdg::learn
