#include "sdg/conditions/swav_head.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "sdg/cludi/noise_schedule.h"
#include "sdg/cluster/noisy_rows.h"
#include "sdg/cluster/sinkhorn.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/core/unit_rows.h"

namespace sdg::conditions {

void SwavOptions::visit(config::Fields& fields) {
  fields("epochs", epochs, {.help = "Passes over the features.", .min = 1, .max = 1000000});
  fields("batch", batch,
         {.help = "Rows a step, balanced together; at most all.", .unit = "rows", .min = 2, .max = 1 << 30});
  fields("dim", dim, {.help = "Width of embeddings and prototypes.", .min = 1, .max = 65536});
  fields("hidden", hidden, {.help = "Width inside the head; 0 is half the features'.", .min = 0, .max = 65536});
  fields("epsilon", epsilon,
         {.help = "Entropy of the balanced assignment: smaller is sharper.", .min = 1e-6, .max = 1e6});
  fields("temperature", temperature, {.help = "Of the softmax that learns the assignment.", .min = 1e-4});
  fields("iterations", iterations, {.help = "Sinkhorn's sweeps.", .min = 1, .max = 1000});
  fields("noise_low", noise_low, {.help = "Least length of the noise added to features of length 1.", .min = 0});
  fields("noise_high", noise_high, {.help = "Largest such length; each view draws its own between the two.", .min = 0});
  fields("drop_low", drop_low, {.help = "Least share of features set to 0.", .unit = "fraction", .min = 0, .max = 1});
  fields(
      "drop_high", drop_high,
      {.help = "Largest such share; each view draws its own between the two.", .unit = "fraction", .min = 0, .max = 1});
  fields("lr", lr, {.help = "Learning rate of AdamW after the warm-up.", .min = 0, .max = 1});
  fields("lr_end", lr_end, {.help = "Learning rate at the end of the cosine.", .min = 0, .max = 1});
  fields("warmup", warmup, {.help = "Linear warm-up from 0.", .unit = "epochs", .min = 0});
  fields("weight_decay", weight_decay, {.help = "Of all weights.", .min = 0, .max = 1});
}

namespace {

cluster::PrototypeHead head_for(const Tensor& features, int64_t clusters, const SwavOptions& options) {
  return cluster::PrototypeHead(cluster::PrototypeHeadOptions{
      .feature_dim = features.size(1), .hidden = options.hidden, .dim = options.dim, .clusters = clusters});
}

}  // namespace

SwavTrainer::SwavTrainer(const Tensor& features, int64_t clusters, const SwavOptions& options, uint64_t seed)
    : features_(unit_rows(features.to(at::kFloat))),
      batch_(std::min(options.batch, features.size(0))),
      steps_per_epoch_(features.size(0) / batch_),
      options_(options),
      seed_(seed ^ rng::hash("swav")),
      head_(head_for(features, clusters, options)) {
  SDG_CHECK(clusters >= 2, "sinkhorn: expected at least 2 clusters, got ", clusters);
  SDG_CHECK_USAGE(options.noise_low <= options.noise_high && options.drop_low <= options.drop_high,
                  "sinkhorn: noise_low and drop_low must not be above noise_high and drop_high");
  initialize(*head_, seed_);
  head_->to(features.device());
  optimizer_ = std::make_unique<learn::ModuleOptimizer>(
      *head_, learn::ModuleOptimizerOptions{},
      [&](const network::NamedRange&) { return learn::Treatment{1, options_.weight_decay}; });
}

Tensor SwavTrainer::views_of(const std::vector<int64_t>& rows) const {
  const auto stream = [&](rng::Purpose purpose) { return rng::Stream{seed_, purpose, static_cast<uint64_t>(done_)}; };
  auto samples = rows;
  for (const auto row : rows) samples.push_back(features_.size(0) + row);
  const auto device = features_.device();
  const auto x = features_.index_select(0, at::tensor(rows).to(device)).unsqueeze(0);
  const Shape shape{2, static_cast<int64_t>(rows.size()), features_.size(1)};
  const auto spread = rng::uniform(stream(rng::Purpose::kStudentTime), {0, 1}, {2}, device);
  const auto noise = rng::normal(stream(rng::Purpose::kStudentNoise), samples, {features_.size(1)}, device);
  const auto mask = rng::uniform(stream(rng::Purpose::kDrop), samples, {features_.size(1)}, device);
  const auto lengths = options_.noise_low + (options_.noise_high - options_.noise_low) * spread.select(1, 0);
  const auto rates = options_.drop_low + (options_.drop_high - options_.drop_low) * spread.select(1, 1);
  return cluster::with_gaps(cluster::with_noise(x, noise.view(shape), lengths), mask.view(shape), rates);
}

double SwavTrainer::advance() {
  const auto order = rng::permutation({seed_, rng::Purpose::kOrder, static_cast<uint64_t>(done_ / steps_per_epoch_)},
                                      features_.size(0));
  const auto first = order.begin() + (done_ % steps_per_epoch_) * batch_;
  const auto views = views_of({first, first + batch_});
  head_->train();
  head_->normalize_prototypes();
  const auto scores = head_->forward(views.flatten(0, 1)).scores.view({2, batch_, -1});  // [2, B, K]
  const cluster::SinkhornOptions balance{.epsilon = options_.epsilon, .iterations = options_.iterations};
  Tensor loss = at::zeros({}, scores.options());
  for (int64_t view = 0; view < 2; ++view) {
    const auto q = cluster::sinkhorn(scores[view].detach(), balance).assignments;
    loss = loss + 0.5 * cluster::assignment_loss(scores[1 - view], q, options_.temperature).mean();
  }
  const auto value = loss.item<double>();
  SDG_CHECK(std::isfinite(value), "sinkhorn: the loss of step ", done_ + 1, " is not finite");
  const auto warmup = std::llround(options_.warmup * static_cast<double>(steps_per_epoch_));
  optimizer_->step(loss, cludi::cosine_with_warmup(options_.lr, options_.lr_end, warmup, steps(), done_));
  ++done_;
  return value;
}

cluster::Answer SwavTrainer::answer(const Tensor& features, const Progress& progress) const {
  const auto width = head_->options().feature_dim;
  SDG_CHECK(features.dim() == 2 && features.size(1) == width, "sinkhorn: trained on features of width ", width,
            ", got ", to_string(features.sizes()));
  const at::NoGradGuard no_grad;
  head_->eval();
  const auto said = head_->forward(unit_rows(features.to(features_.device(), at::kFloat)));
  if (progress) progress(features.size(0), features.size(0));
  return {said.scores.argmax(1).cpu(), (said.scores / options_.temperature).softmax(1).cpu(),
          unit_rows(head_->prototypes->weight.detach()).cpu(), said.embedding.cpu()};
}

std::map<std::string, Tensor> SwavTrainer::state() const {
  auto out = network::named_tensors("head.", *head_);
  out.merge(optimizer_->state());
  return out;
}

void SwavTrainer::restore(const std::map<std::string, Tensor>& state, int64_t done, const std::string& where) {
  for (const auto& [name, tensor] : this->state()) learn::copy_named(state, name, tensor, where);
  done_ = done;
}

}  // namespace sdg::conditions
