#include "sdg/learn/learner.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "learn/learner_shard.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/flow/path.h"

namespace sdg::learn {
namespace {

// Cluster maps kept for sampling at patch level.
constexpr int64_t kMaps = 512;

network::FlatParameters flatten(network::Network& network) {
  network::FlatParameters flat;
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

bool has_index(const recipe::RunConfig& config) {
  return config.condition.source != recipe::Source::kNone && config.condition.source != recipe::Source::kOnline;
}

// Rows that the queue keeps: enough for 2 K together with those of a batch that are balanced.
int64_t queue_rows(const recipe::RunConfig& config, int64_t patches) {
  const auto& options = config.cluster;
  if (options.queue >= 0) return options.queue;
  const bool only_window = options.views == cluster::Views::kOne && options.balance == cluster::Balance::kWindow;
  const double share = only_window ? options.window_end - options.window_begin : 1;
  const auto images = static_cast<int64_t>(share * static_cast<double>(config.train.batch));
  return cluster::queue_rows(options.clusters, images * patches);
}

// Puts the head's prototypes and statistics, which its forward pass moves, back unless the step is kept.
class HeadGuard {
 public:
  explicit HeadGuard(cluster::PrototypeHead head) {
    if (!head) return;
    remember(head->prototypes->weight);
    for (const auto& buffer : head->buffers()) remember(buffer);
  }
  ~HeadGuard() {
    const at::NoGradGuard no_grad;
    for (auto& [now, before] : state_) now.copy_(before);
  }
  HeadGuard(const HeadGuard&) = delete;
  HeadGuard& operator=(const HeadGuard&) = delete;
  void keep() { state_.clear(); }

 private:
  void remember(const Tensor& tensor) { state_.emplace_back(tensor.detach(), tensor.detach().clone()); }
  std::vector<std::pair<Tensor, Tensor>> state_;
};

}  // namespace

Learner::Learner(const recipe::RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes,
                 int64_t images)
    : Learner(config, device, ids, classes, network::build_network(config, classes, device),
              network::build_network(config, classes, device), {}, images) {}

Learner::Learner(const recipe::RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes,
                 network::Network student, network::Network teacher, DrawFn draws, int64_t images)
    : config_(config),
      device_(device),
      ids_(ids),
      classes_(config.condition.source == recipe::Source::kOnline ? config.cluster.clusters : classes),
      student_(std::move(student)),
      teacher_(std::move(teacher)),
      draws_(draws ? std::move(draws) : counter_draws(config, student_.model->patch_tokens())),
      flat_(flatten(student_)),
      teacher_flat_(flatten(teacher_)),
      optimizer_(config.train, flat_.values()) {
  const bool later = config.condition.source == recipe::Source::kRecluster;
  SDG_CHECK(!has_index(config) || later || (ids.defined() && classes > 0), "condition source ",
            config::name(config.condition.source), " needs an index per image");
  student_.set_training(true);
  teacher_.set_training(false);
  model_parameters_ = trainable(*student_.model);
  for (const auto& parameter : model_parameters_) model_size_ += parameter.numel();
  if (student_.head) head_parameters_ = trainable(*student_.head);
  for (auto& parameter : teacher_flat_.parameters()) parameter.requires_grad_(false);
  if (classes_ > 0) prior_counts_ = at::zeros({classes_}, at::kDouble);
  if (ids_.defined()) set_ids(ids_);
  const auto patches = network::patch_level(config) ? student_.model->patch_tokens() : 1;
  if (network::patch_level(config)) maps_ = at::zeros({kMaps, patches}, at::kInt);
  cluster_from_ = network::cluster_step(config);
  change_at_ = network::change_step(config);
  if (!student_.head) return;
  agreement_ = Agreement(images, patches);
  queue_ = cluster::RowQueue(queue_rows(config, patches), student_.head->options().dim, device);
}

void Learner::set_ids(const Tensor& ids) {
  ids_ = ids;
  prior_counts_ = at::bincount(ids_.cpu(), {}, classes_).to(at::kDouble);
}

bool Learner::conditioned() const {
  if (config_.condition.source == recipe::Source::kRecluster && !ids_.defined()) return false;
  return config_.condition.source != recipe::Source::kNone && steps_done_ >= change_at_;
}

bool Learner::clustering() const {
  return config_.condition.source == recipe::Source::kOnline && steps_done_ >= cluster_from_;
}

Tensor Learner::prior() const {
  if (!prior_counts_.defined() || steps_done_ <= change_at_) return {};
  if (maps_.defined()) return maps_.slice(0, 0, std::min(kMaps, maps_seen_)).to(at::kLong);
  const auto total = prior_counts_.sum().item<double>();
  return total > 0 ? prior_counts_ / total : at::full_like(prior_counts_, 1.0 / static_cast<double>(classes_));
}

void Learner::flow_shard(const data::Batch& batch, int64_t first, int64_t count, Shard& shard) {
  const auto x = batch.x.narrow(0, first, count).to(device_);  // [n, C, S, S]
  const std::vector<int64_t> samples(batch.sample.begin() + first, batch.sample.begin() + first + count);
  const auto draws = draws_(samples, x.sizes().slice(1));
  const bool online = config_.condition.source == recipe::Source::kOnline;
  if (online && clustering()) cluster_views(x, draws, shard);

  auto condition = network::unconditional_for(config_);
  if (conditioned()) {
    if (has_index(config_)) {
      const Tensor index =
          at::tensor(std::vector<int64_t>(batch.index.begin() + first, batch.index.begin() + first + count));
      shard.ids = ids_.index_select(0, index).to(device_);
    }
    condition = network::condition_for(config_, teacher_, shard.ids, draws.drop.to(device_));
  }

  const auto point = student_.predictions.training_point(x, draws.eps.to(device_), draws.t.to(device_));
  model::ForwardOptions options;
  options.dropout = std::make_shared<model::DropoutDraw>(model::DropoutDraw{recipe::seed_of(config_), samples});
  const bool own_view = online && clustering() && config_.cluster.views == cluster::Views::kOne;
  if (own_view) options.feature_depth = network::feature_depth(config_, *student_.model);
  const auto out = student_.model->forward(point.input, point.time, condition, options);
  if (own_view) {
    shard.head_features = network::pool_tokens(
        config_, config_.cluster.backbone > 0 ? out.features : out.features.detach(), student_.model->extra_tokens());
    shard.head_t = point.t;
  }
  auto losses = flow::velocity_loss(out.prediction, point.target);  // [n]
  if (point.weight.defined()) losses = losses * point.weight;
  const auto loss_sum = losses.sum();
  shard.loss_sum = loss_sum.item<double>();
  const bool keep_graph = own_view && config_.cluster.backbone > 0;
  const auto scaled = loss_sum / static_cast<double>(batch.x.size(0));
  shard.gradient =
      flat_.flatten(torch::autograd::grad({scaled}, model_parameters_, {}, keep_graph, false, /*allow_unused=*/true));
}

// Each on a thread of its own; on a GPU there is one.
void Learner::for_each_shard(int64_t shards, const std::function<void(int64_t i)>& work) const {
  if (device_.is_cpu()) {
    worker_pool().run(shards, work);
  } else {
    work(0);
  }
}

StepResult Learner::step(const data::Batch& batch) {
  const int64_t size = batch.x.size(0);
  const int64_t shard_size = device_.is_cpu() ? std::min(config_.train.shard, size) : size;
  std::vector<Shard> shards(static_cast<size_t>((size + shard_size - 1) / shard_size));
  const auto one = [&](int64_t i) {
    flow_shard(batch, i * shard_size, std::min(shard_size, size - i * shard_size), shards[static_cast<size_t>(i)]);
  };
  for_each_shard(static_cast<int64_t>(shards.size()), one);

  StepResult result;
  result.conditioned = conditioned();
  Tensor gradient;
  for (auto& shard : shards) {
    result.flow_loss += shard.loss_sum / static_cast<double>(size);
    if (gradient.defined()) {
      gradient.add_(shard.gradient);
    } else {
      gradient = shard.gradient;
    }
  }
  if (!std::isfinite(result.flow_loss)) {
    const bool input = !batch.x.isfinite().all().item<bool>();
    bad_step(cat("the flow loss is ", number_text(result.flow_loss),
                 input ? " (the training data itself holds numbers that are not finite)" : ""));
  }
  result.objective = result.flow_loss;
  HeadGuard head(student_.head && clustering() ? student_.head : cluster::PrototypeHead{nullptr});
  Tensor of_clusters, queued;
  if (student_.head && clustering()) {
    try {
      of_clusters = cluster_gradient(shards, result, queued);
    } catch (const Error& error) {
      bad_step(cat("the clustering loss: ", error.what()));
    }
    if (!std::isfinite(result.cluster_loss) || !std::isfinite(result.cluster_window))
      bad_step(cat("the clustering loss is ", number_text(result.cluster_loss)));
    gradient.add_(of_clusters);
    result.objective += result.cluster_weight * result.cluster_window;
  }
  std::vector<Tensor> ids;
  for (const auto& shard : shards) {
    if (shard.ids.defined()) ids.push_back(shard.ids);
  }
  if (!ids.empty()) result.ids = at::cat(ids);

  result.lr = learning_rate(config_.train, steps_done_);
  try {
    result.grad_norm = optimizer_.step(flat_.values(), gradient, result.lr);
  } catch (const Error& error) {
    bad_step(error.what() + bad_gradient(gradient, of_clusters));
  }
  // From here on nothing can go wrong any more: the step counts.
  head.keep();
  result.gradient = gradient;
  if (queued.defined()) queue_.push(queued);
  update_teacher();
  update_prior(result);
  watch_agreement(batch, result);
  ++steps_done_;
  return result;
}

void Learner::save(tensors::TensorFile& file) const {
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
  if (student_.head) {
    file.tensors["agreement.memory"] = agreement_.memory();
    file.tensors["agreement.figures"] = agreement_.figures();
  }
  if (queue_.capacity() > 0) {
    file.tensors["queue"] = queue_.data();
    file.tensors["queue_seen"] = at::scalar_tensor(queue_.seen(), at::kLong);
  }
  if (config_.condition.source == recipe::Source::kRecluster && ids_.defined()) file.tensors["ids"] = ids_;
  file.metadata["cluster_step"] = std::to_string(cluster_from_);
  file.metadata["change_step"] = std::to_string(change_at_);
  file.metadata["change_came"] = steps_done_ > change_at_ || came_early_ ? "yes" : "no";
  file.metadata["step"] = std::to_string(steps_done_);
}

void Learner::load(const tensors::TensorFile& file, const std::string& where) {
  const at::NoGradGuard no_grad;
  student_.load(file.tensors, "model.", where);
  teacher_.load(file.tensors, "ema.", where);
  student_.check_finite("model.", where);
  teacher_.check_finite("ema.", where);
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
  if (student_.head && file.tensors.count("agreement.memory"))
    agreement_.restore(file.at("agreement.memory", where), file.at("agreement.figures", where));
  if (queue_.capacity() > 0 && file.tensors.count("queue"))
    queue_.restore(file.at("queue", where), file.at("queue_seen", where).item<int64_t>());
  if (config_.condition.source == recipe::Source::kRecluster && file.tensors.count("ids"))
    set_ids(file.tensors.at("ids"));
  steps_done_ = std::stoll(file.metadata.at("step"));
  restore_change(file, where);
}

// What has begun stays where it began, also if the run goes on for another number of steps; what has not cannot begin
// in the past.
void Learner::restore_change(const tensors::TensorFile& file, const std::string& where) {
  const auto stored = [&](const char* key) -> int64_t {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end()) return -1;
    try {
      return std::stoll(found->second);
    } catch (const std::exception&) {
      throw Error(cat(where, ": metadata `", key, "` must be a whole number, got ", found->second));
    }
  };
  if (const auto from = stored("cluster_step"); from >= 0 && from < steps_done_) cluster_from_ = from;
  const auto came = file.metadata.find("change_came");
  if (came != file.metadata.end() && came->second == "yes") {
    change_at_ = stored("change_step");
    came_early_ = true;
  } else {
    change_at_ = std::max(change_at_, steps_done_);
  }
  cluster_from_ = std::min(cluster_from_, change_at_);
}

}  // namespace sdg::learn
