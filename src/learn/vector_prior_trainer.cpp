#include "sdg/learn/vector_prior_trainer.h"

#include <cmath>

#include "sdg/cluster/label_prior.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/shape.h"

namespace sdg::learn {
namespace {

using rng::Purpose;

constexpr double kDecay = 0.01, kAverage = 0.998;

// The schedule and the average of networks.
recipe::TrainOptions as_network(const VectorPriorOptions& options) {
  recipe::TrainOptions out;
  out.steps = options.steps;
  out.lr = options.lr;
  out.warmup = options.steps / 30;
  out.schedule = recipe::Schedule::kCosine;
  out.ema = kAverage;
  return out;
}

}  // namespace

VectorPriorTrainer::VectorPriorTrainer(const Tensor& rows, const Tensor& weights, const VectorPriorOptions& options,
                                       uint64_t seed)
    : options_(options), seed_(seed ^ rng::hash("vector prior")) {
  check_shape(rows, {-1, -1}, "vector prior: rows");
  check_finite(rows, "vector prior", "rows");
  const auto device = rows.device();
  const auto told = weights.cpu().gt(0).nonzero().squeeze(1);  // images without a look are never told
  often_ = cluster::label_prior(weights.cpu().index_select(0, told));
  const auto those = rows.index_select(0, told.to(device));
  prior_.scale = network::scale_of(those.cpu(), often_);
  rows_ = (those.to(at::kFloat) - prior_.scale.mean.to(device)) / prior_.scale.spread;
  const network::VectorFieldSize size{.dim = rows.size(1), .width = options.width, .blocks = options.blocks};
  field_ = network::VectorField(size);
  prior_.field = network::VectorField(size);
  for (auto field : {field_, prior_.field}) {  // handles
    network::initialize(*field, seed_);
    field->to(device);
  }
  optimizer_ = std::make_unique<ModuleOptimizer>(
      *field_, ModuleOptimizerOptions{},
      [](const network::NamedRange& range) -> Treatment { return {1, range.dimensions > 1 ? kDecay : 0}; });
  average_.add("", *prior_.field);
  average_.build();
}

double VectorPriorTrainer::advance() {
  const rng::Stream which{seed_, Purpose::kOrder, static_cast<uint64_t>(done_)};
  const auto places = rng::consecutive(0, options_.batch);
  const auto device = rows_.device();
  const auto x = rows_.index_select(0, cluster::draw(often_, which, places).to(device));  // [B, D]
  const auto eps = rng::normal({seed_, Purpose::kNoise, static_cast<uint64_t>(done_)}, places, {rows_.size(1)}, device);
  const auto t = rng::uniform({seed_, Purpose::kTime, static_cast<uint64_t>(done_)}, places, {}, device);  // [B]
  const auto share = t.unsqueeze(1);
  const auto velocity = field_->forward(share * x + (1 - share) * eps, t);
  const auto loss = (velocity - (x - eps)).square().mean();
  const double value = loss.item<double>();
  SDG_CHECK(std::isfinite(value), "vector prior: the loss of step ", done_ + 1,
            " is not finite; a smaller learning rate may help");
  const auto train = as_network(options_);
  optimizer_->step(loss, learning_rate(train, done_));
  const at::NoGradGuard no_grad;
  average_.values().lerp_(optimizer_->values(), 1 - ema_decay(train, done_));
  ++done_;
  return value;
}

}  // namespace sdg::learn
