#include "sdg/train/learner.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "sdg/cluster/window_loss.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/flow/path.h"

namespace sdg::train {
namespace {

// The conditions of the last few hundred steps decide the prior: older ones come from clusters that have moved since.
constexpr double kPriorDecay = 0.99;
// Cluster maps kept for sampling at patch level.
constexpr int64_t kMaps = 512;

FlatParameters flatten(Network& network) {
  FlatParameters flat;
  flat.add("", *network.model);
  if (network.head) flat.add("", *network.head);
  flat.build();
  return flat;
}

std::vector<Tensor> trainable(torch::nn::Module& module) {
  std::vector<Tensor> out;
  for (auto& parameter : module.parameters()) {
    if (parameter.requires_grad()) out.push_back(parameter);
  }
  return out;
}

bool has_index(const RunConfig& config) {
  return config.condition.source != "none" && config.condition.source != "online";
}

}  // namespace

/// What one shard of the batch computed on its own.
struct Learner::Shard {
  double loss_sum = 0;           ///< of the velocity error over the shard's images
  Tensor gradient;               ///< [P], already divided by the batch size
  Tensor ids;                    ///< conditions given, [n] or [n, L]
  Tensor teacher_scores;         ///< [n, K] or [n*L, K]
  Tensor head_features, head_t;  ///< what the head learns from, [n, F] or [n*L, D], and the images' times [n]
};

Learner::Learner(const RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes)
    : Learner(config, device, ids, classes, build_network(config, classes, device),
              build_network(config, classes, device), {}) {}

Learner::Learner(const RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes, Network student,
                 Network teacher, DrawFn draws)
    : config_(config),
      device_(device),
      ids_(ids),
      classes_(config.condition.source == "online" ? config.cluster.clusters : classes),
      student_(std::move(student)),
      teacher_(std::move(teacher)),
      draws_(draws ? std::move(draws) : counter_draws(config, student_.model->patch_tokens())),
      flat_(flatten(student_)),
      teacher_flat_(flatten(teacher_)),
      optimizer_(config.train, flat_.values()) {
  SDG_CHECK(!has_index(config) || (ids.defined() && classes > 0), "condition source ", config.condition.source,
            " needs an index per image");
  student_.set_training(true);
  teacher_.set_training(false);
  model_parameters_ = trainable(*student_.model);
  for (const auto& parameter : model_parameters_) model_size_ += parameter.numel();
  if (student_.head) head_parameters_ = trainable(*student_.head);
  for (auto& parameter : teacher_flat_.parameters()) parameter.requires_grad_(false);
  if (classes_ > 0) prior_counts_ = at::zeros({classes_}, at::kDouble);
  if (has_index(config)) prior_counts_ = at::bincount(ids_.cpu(), {}, classes_).to(at::kDouble);
  if (patch_level(config)) maps_ = at::zeros({kMaps, student_.model->patch_tokens()}, at::kInt);
}

bool Learner::clustering() const {
  return config_.condition.source == "online" && steps_done_ >= cluster_step(config_);
}

Tensor Learner::prior() const {
  if (!prior_counts_.defined() || steps_done_ <= change_step(config_)) return {};
  if (maps_.defined()) return maps_.slice(0, 0, std::min(kMaps, maps_seen_)).to(at::kLong);
  const auto total = prior_counts_.sum().item<double>();
  return total > 0 ? prior_counts_ / total : at::full_like(prior_counts_, 1.0 / static_cast<double>(classes_));
}

// The teacher looks at each image once at teacher_time; with two views the head learns from a second look, through
// other noise and at a time of the window, so that only what survives the noise can be predicted.
void Learner::cluster_views(const Tensor& x, const Draws& draws, Shard& shard) {
  const auto t = at::full({x.size(0)}, config_.cluster.teacher_time, x.options());
  const at::NoGradGuard no_grad;
  const auto features = features_at(config_, teacher_, x, draws.teacher_eps.to(device_), t);
  shard.teacher_scores = teacher_.head->forward(features).scores;  // [n, K] or [n*L, K]
  shard.ids = shard.teacher_scores.argmax(1);
  if (patch_level(config_)) shard.ids = shard.ids.view({x.size(0), -1});
  if (config_.cluster.views == "two") {
    shard.head_t = draws.head_t.to(device_);
    shard.head_features = features_at(config_, teacher_, x, draws.head_eps.to(device_), shard.head_t);
  }
}

void Learner::flow_shard(const data::Batch& batch, int64_t first, int64_t count, Shard& shard) {
  const auto x = batch.images.narrow(0, first, count).to(device_);  // [n, C, S, S]
  const std::vector<int64_t> samples(batch.sample.begin() + first, batch.sample.begin() + first + count);
  const auto draws = draws_(samples, x.sizes().slice(1));
  const bool online = config_.condition.source == "online";
  const bool conditioned = steps_done_ >= change_step(config_);
  if (online && clustering()) cluster_views(x, draws, shard);

  auto condition = unconditional_for(config_);
  if (conditioned) {
    if (has_index(config_)) {
      const Tensor index =
          at::tensor(std::vector<int64_t>(batch.index.begin() + first, batch.index.begin() + first + count));
      shard.ids = ids_.index_select(0, index).to(device_);
    }
    condition = condition_for(config_, teacher_, shard.ids, draws.drop.to(device_));
  }

  const auto point = student_.predictions.training_point(x, draws.eps.to(device_), draws.t.to(device_));
  model::ForwardOptions options;
  options.dropout = std::make_shared<model::DropoutDraw>(model::DropoutDraw{seed_of(config_), samples});
  const bool own_view = online && clustering() && config_.cluster.views == "one";
  if (own_view) options.feature_depth = feature_depth(config_, *student_.model);
  const auto out = student_.model->forward(point.input, point.time, condition, options);
  if (own_view) {
    shard.head_features = pool_tokens(config_, out.features.detach(), student_.model->extra_tokens());
    shard.head_t = point.t;
  }
  auto losses = flow::velocity_loss(out.velocity, point.target);  // [n]
  if (point.weight.defined()) losses = losses * point.weight;
  const auto loss_sum = losses.sum();
  shard.loss_sum = loss_sum.item<double>();
  const auto scaled = loss_sum / static_cast<double>(batch.images.size(0));
  shard.gradient =
      flat_.flatten(torch::autograd::grad({scaled}, model_parameters_, {}, {}, false, /*allow_unused=*/true));
}

// The head needs the whole batch (its BatchNorm, Sinkhorn), and is small: one thread, after the shards.
Tensor Learner::head_gradient(const std::vector<Shard>& shards, StepResult& result) {
  std::vector<Tensor> features, scores, times;
  for (const auto& shard : shards) {
    features.push_back(shard.head_features);
    scores.push_back(shard.teacher_scores);
    times.push_back(shard.head_t);
  }
  const auto& options = config_.cluster;
  student_.head->normalize_prototypes();
  const auto own = student_.head->forward(at::cat(features)).scores;  // [B, K] or [B*L, K]
  const bool two_views = options.views == "two";
  cluster::SinkhornOptions sinkhorn;
  sinkhorn.epsilon = options.epsilon;
  sinkhorn.iterations = options.iterations;
  auto assigned = cluster::sinkhorn(two_views ? at::cat(scores) : own.detach(), sinkhorn);
  const auto losses = cluster::assignment_loss(own, assigned.assignments, options.temperature);  // [B] or [B*L]
  auto loss = losses.mean();
  if (!two_views) {
    auto mask = cluster::in_window(at::cat(times), options.window_begin, options.window_end);  // [B]
    if (options.window_tokens == "tiled") mask = mask.repeat({losses.size(0) / mask.size(0)});
    loss = cluster::window_mean(losses, mask, cluster::parse_averaging(options.averaging));
  }
  result.cluster_weight =
      options.ramp ? cluster::warm_up_weight(steps_done_, static_cast<double>(change_step(config_)), options.weight)
                   : options.weight;
  result.cluster_loss = losses.mean().item<double>();
  result.cluster_window = loss.item<double>();
  result.sinkhorn = std::move(assigned);
  return flat_.flatten(torch::autograd::grad({result.cluster_weight * loss}, head_parameters_),
                       model_parameters_.size());
}

namespace {

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

}  // namespace

void Learner::update_teacher() {
  const at::NoGradGuard no_grad;
  auto ours = teacher_flat_.values();
  const auto& theirs = flat_.values();
  if (config_.train.teacher == "change" && config_.condition.source == "online") {
    if (steps_done_ < change_step(config_)) return;
    if (steps_done_ == change_step(config_)) {
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
  const double keep = ema_decay(config_.train, steps_done_ - cluster_step(config_));
  const auto head_size = ours.numel() - model_size_;
  ours.narrow(0, model_size_, head_size).lerp_(theirs.narrow(0, model_size_, head_size), 1 - keep);
  follow_buffers(*teacher_.head, *student_.head, keep);
}

void Learner::update_prior(const StepResult& result) {
  if (config_.condition.source != "online" || !result.ids.defined()) return;
  const auto ids = result.ids.cpu();
  prior_counts_.mul_(kPriorDecay);
  prior_counts_ += at::bincount(ids.flatten(), {}, classes_).to(at::kDouble);
  if (!maps_.defined()) return;
  for (int64_t i = 0; i < ids.size(0); ++i) maps_[maps_seen_++ % kMaps].copy_(ids[i]);
}

StepResult Learner::step(const data::Batch& batch) {
  const int64_t size = batch.images.size(0);
  const int64_t shard_size = device_.is_cpu() ? std::min(config_.train.shard, size) : size;
  std::vector<Shard> shards(static_cast<size_t>((size + shard_size - 1) / shard_size));
  const auto one = [&](int64_t i) {
    flow_shard(batch, i * shard_size, std::min(shard_size, size - i * shard_size), shards[static_cast<size_t>(i)]);
  };
  if (device_.is_cpu()) {
    worker_pool().run(static_cast<int64_t>(shards.size()), one);
  } else {
    one(0);
  }

  StepResult result;
  result.conditioned = config_.condition.source != "none" && steps_done_ >= change_step(config_);
  Tensor gradient;
  for (auto& shard : shards) {
    result.flow_loss += shard.loss_sum / static_cast<double>(size);
    if (gradient.defined()) {
      gradient.add_(shard.gradient);
    } else {
      gradient = shard.gradient;
    }
  }
  SDG_CHECK(std::isfinite(result.flow_loss), "step ", steps_done_, ": the loss is ",
            std::isnan(result.flow_loss) ? "nan" : "infinite", "; the weights were left as they were");
  result.objective = result.flow_loss;
  if (student_.head && clustering()) {
    gradient.add_(head_gradient(shards, result));
    result.objective += result.cluster_weight * result.cluster_window;
  }
  std::vector<Tensor> ids;
  for (const auto& shard : shards) {
    if (shard.ids.defined()) ids.push_back(shard.ids);
  }
  if (!ids.empty()) result.ids = at::cat(ids);

  result.lr = learning_rate(config_.train, steps_done_);
  result.grad_norm = optimizer_.step(flat_.values(), gradient, result.lr);
  result.gradient = gradient;
  update_teacher();
  update_prior(result);
  ++steps_done_;
  return result;
}

void Learner::save(io::TensorFile& file) const {
  SDG_CHECK(
      flat_.values().isfinite().all().item<bool>(), "step ", steps_done_,
      ": the optimizer made weights that are not finite; no checkpoint was written, the earlier ones are as they were");
  file.tensors.merge(student_.tensors("model."));
  file.tensors.merge(teacher_.tensors("ema."));
  for (auto& [name, view] : flat_.named_views(optimizer_.exp_avg)) file.tensors["optimizer.exp_avg." + name] = view;
  for (auto& [name, view] : flat_.named_views(optimizer_.exp_avg_sq))
    file.tensors["optimizer.exp_avg_sq." + name] = view;
  file.tensors["optimizer.step"] = optimizer_.steps_done;
  if (prior_counts_.defined()) file.tensors["prior"] = prior_counts_;
  if (maps_.defined()) {
    file.tensors["maps"] = maps_;
    file.metadata["maps_seen"] = std::to_string(maps_seen_);
  }
  file.metadata["step"] = std::to_string(steps_done_);
}

void Learner::load(const io::TensorFile& file, const std::string& where) {
  const at::NoGradGuard no_grad;
  student_.load(file.tensors, "model.", where);
  teacher_.load(file.tensors, "ema.", where);
  const auto copy = [&](Tensor target, const std::string& name) {
    const auto& source = file.at(name, where);
    SDG_CHECK(source.sizes() == target.sizes(), where, ": ", name, " is ", to_string(source.sizes()),
              ", this configuration needs ", to_string(target.sizes()));
    target.copy_(source);
  };
  for (auto& [name, view] : flat_.named_views(optimizer_.exp_avg)) copy(view, "optimizer.exp_avg." + name);
  for (auto& [name, view] : flat_.named_views(optimizer_.exp_avg_sq)) copy(view, "optimizer.exp_avg_sq." + name);
  copy(optimizer_.steps_done, "optimizer.step");
  if (prior_counts_.defined()) copy(prior_counts_, "prior");
  if (maps_.defined()) {
    copy(maps_, "maps");
    maps_seen_ = std::stoll(file.metadata.at("maps_seen"));
  }
  steps_done_ = std::stoll(file.metadata.at("step"));
}

}  // namespace sdg::train
