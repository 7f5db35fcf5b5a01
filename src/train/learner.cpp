#include "sdg/train/learner.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "sdg/cluster/window_loss.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/core/rng.h"
#include "sdg/flow/path.h"

namespace sdg::train {
namespace {

// The conditions of the last few hundred steps decide the prior: older ones come from clusters that have moved since.
constexpr double kPriorDecay = 0.99;

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
  return config.condition.source == "label" || config.condition.source == "kmeans";
}

}  // namespace

/// What one shard of the batch computed on its own.
struct Learner::Shard {
  double loss_sum = 0;           ///< of the velocity error over the shard's images
  Tensor gradient;               ///< [P], already divided by the batch size
  Tensor ids;                    ///< conditions given, [n]
  Tensor teacher_scores;         ///< [n, K]
  Tensor head_features, head_t;  ///< what the head learns from, [n, F], and its times [n]
};

Learner::Learner(const RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes)
    : config_(config),
      device_(device),
      ids_(ids),
      classes_(config.condition.source == "online" ? config.cluster.clusters : classes),
      student_(build_network(config, classes, device)),
      teacher_(build_network(config, classes, device)),
      flat_(flatten(student_)),
      teacher_flat_(flatten(teacher_)),
      optimizer_(config.train, flat_.values()) {
  SDG_CHECK(!has_index(config) || (ids.defined() && classes > 0), "condition source ", config.condition.source,
            " needs an index per image");
  student_.set_training(true);
  teacher_.set_training(false);
  model_parameters_ = trainable(*student_.model);
  if (student_.head) head_parameters_ = trainable(*student_.head);
  for (auto& parameter : teacher_flat_.parameters()) parameter.requires_grad_(false);
  if (classes_ > 0) prior_counts_ = at::zeros({classes_}, at::kDouble);
  if (has_index(config)) prior_counts_ = at::bincount(ids_.cpu(), {}, classes_).to(at::kDouble);
}

Tensor Learner::prior() const {
  if (!prior_counts_.defined() || steps_done_ <= change_step(config_)) return {};
  const auto total = prior_counts_.sum().item<double>();
  return total > 0 ? prior_counts_ / total : at::full_like(prior_counts_, 1.0 / static_cast<double>(classes_));
}

// The teacher looks at each image once at teacher_time; with two views the head learns from a second look, through
// other noise and at a time of the window, so that only what survives the noise can be predicted.
void Learner::cluster_views(const Tensor& x, const std::vector<int64_t>& samples, Shard& shard) {
  const auto seed = seed_of(config_);
  const auto image_shape = x.sizes().slice(1);
  const auto n = static_cast<int64_t>(samples.size());
  const auto noise = rng::normal({seed, rng::Purpose::kTeacherNoise, 0}, samples, image_shape).to(device_);
  const auto t = at::full({n}, config_.cluster.teacher_time, x.options());
  const at::NoGradGuard no_grad;
  shard.teacher_scores = teacher_.head->forward(features_at(config_, teacher_, x, noise, t)).scores;  // [n, K]
  shard.ids = shard.teacher_scores.argmax(1);
  if (config_.cluster.views == "two") {
    const auto other = rng::normal({seed, rng::Purpose::kStudentNoise, 0}, samples, image_shape).to(device_);
    const auto unit = rng::uniform({seed, rng::Purpose::kStudentTime, 0}, samples, {}).to(device_);
    shard.head_t = config_.cluster.window_begin + (config_.cluster.window_end - config_.cluster.window_begin) * unit;
    shard.head_features = features_at(config_, teacher_, x, other, shard.head_t);
  }
}

void Learner::flow_shard(const data::Batch& batch, int64_t first, int64_t count, Shard& shard) {
  const auto seed = seed_of(config_);
  const auto x = batch.images.narrow(0, first, count).to(device_);  // [n, C, S, S]
  const std::vector<int64_t> samples(batch.sample.begin() + first, batch.sample.begin() + first + count);
  const bool online = config_.condition.source == "online";
  const bool conditioned = steps_done_ >= change_step(config_);
  if (online) cluster_views(x, samples, shard);

  auto condition = unconditional_for(config_);
  if (conditioned) {
    if (has_index(config_)) {
      const Tensor index =
          at::tensor(std::vector<int64_t>(batch.index.begin() + first, batch.index.begin() + first + count));
      shard.ids = ids_.index_select(0, index).to(device_);
    }
    const auto drop = rng::uniform({seed, rng::Purpose::kDrop, 0}, samples, {}).lt(config_.condition.drop).to(device_);
    condition = condition_for(config_, teacher_, shard.ids, drop);
  }

  const auto eps = rng::normal({seed, rng::Purpose::kNoise, 0}, samples, x.sizes().slice(1)).to(device_);
  const auto u = rng::uniform({seed, rng::Purpose::kTime, 0}, samples, {}).to(device_);
  const auto point = student_.predictions.training_point(x, eps, u);
  model::ForwardOptions options;
  options.dropout = std::make_shared<model::DropoutDraw>(model::DropoutDraw{seed, samples});
  if (online && config_.cluster.views == "one") options.feature_depth = feature_depth(config_, *student_.model);
  const auto out = student_.model->forward(point.input, point.time, condition, options);
  if (options.feature_depth >= 0) {
    shard.head_features = pool_tokens(out.features.detach(), student_.model->extra_tokens(), config_.cluster.pooling);
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
  student_.head->normalize_prototypes();
  const auto own = student_.head->forward(at::cat(features)).scores;  // [B, K]
  const bool two_views = config_.cluster.views == "two";
  cluster::SinkhornOptions options;
  options.epsilon = config_.cluster.epsilon;
  options.iterations = config_.cluster.iterations;
  auto assigned = cluster::sinkhorn(two_views ? at::cat(scores) : own.detach(), options);
  const auto losses = cluster::assignment_loss(own, assigned.assignments, config_.cluster.temperature);  // [B]
  const auto loss =
      two_views
          ? losses.mean()
          : cluster::window_mean(
                losses, cluster::in_window(at::cat(times), config_.cluster.window_begin, config_.cluster.window_end),
                cluster::parse_averaging(config_.cluster.averaging));
  result.cluster_loss = losses.mean().item<double>();
  result.sinkhorn = std::move(assigned);
  const auto gradients = torch::autograd::grad({config_.cluster.weight * loss}, head_parameters_);
  return flat_.flatten(gradients, model_parameters_.size());
}

void Learner::update_teacher() {
  const at::NoGradGuard no_grad;
  const double keep = ema_decay(config_.train, steps_done_);
  teacher_flat_.values().lerp_(flat_.values(), 1 - keep);
  if (!student_.head) return;
  const auto source = student_.head->named_buffers();
  for (auto& entry : teacher_.head->named_buffers()) {
    const auto& from = source[entry.key()];
    if (entry.value().is_floating_point()) {
      entry.value().lerp_(from, 1 - keep);
    } else {
      entry.value().copy_(from);
    }
  }
}

void Learner::update_prior(const std::vector<Shard>& shards) {
  if (config_.condition.source != "online") return;
  prior_counts_.mul_(kPriorDecay);
  for (const auto& shard : shards) prior_counts_ += at::bincount(shard.ids.cpu(), {}, classes_).to(at::kDouble);
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
  if (student_.head) gradient.add_(head_gradient(shards, result));

  result.lr = learning_rate(config_.train, steps_done_);
  result.grad_norm = optimizer_.step(flat_.values(), gradient, result.lr);
  update_teacher();
  update_prior(shards);
  ++steps_done_;
  return result;
}

void Learner::save(io::TensorFile& file) const {
  file.tensors.merge(student_.tensors("model."));
  file.tensors.merge(teacher_.tensors("ema."));
  for (auto& [name, view] : flat_.named_views(optimizer_.exp_avg)) file.tensors["optimizer.exp_avg." + name] = view;
  for (auto& [name, view] : flat_.named_views(optimizer_.exp_avg_sq))
    file.tensors["optimizer.exp_avg_sq." + name] = view;
  file.tensors["optimizer.step"] = optimizer_.steps_done;
  if (prior_counts_.defined()) file.tensors["prior"] = prior_counts_;
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
  steps_done_ = std::stoll(file.metadata.at("step"));
}

}  // namespace sdg::train
