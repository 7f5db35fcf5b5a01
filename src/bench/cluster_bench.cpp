#include "sdg/bench/cluster_bench.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "bench/stopwatch.h"
#include "sdg/cluster/sinkhorn.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/core/rng.h"
#include "sdg/flow/path.h"
#include "sdg/learn/learner.h"

namespace sdg::bench {
namespace {

Tensor noise(uint64_t step, int64_t rows, at::IntArrayRef shape, const at::Device& device) {
  return rng::normal({0, rng::Purpose::kTest, step}, rng::consecutive(0, rows), shape).to(device);
}

// As many pieces of a batch as there are threads.
void in_shards(int64_t count, const at::Device& device, const std::function<void(int64_t first, int64_t size)>& work) {
  if (!device.is_cpu()) return work(0, count);
  const int64_t shards = std::min<int64_t>(count, worker_pool().threads());
  worker_pool().run(shards, [&](int64_t i) {
    const int64_t first = count * i / shards;
    work(first, count * (i + 1) / shards - first);
  });
}

// The head's part of a training step, as the learner does it.
void head_step(const recipe::RunConfig& config, cluster::PrototypeHead& head, const Tensor& features,
               const std::vector<Tensor>& parameters) {
  head->normalize_prototypes();
  const auto scores = head->forward(features).scores;
  cluster::SinkhornOptions options;
  options.epsilon = config.cluster.epsilon;
  options.iterations = config.cluster.iterations;
  const auto assigned = cluster::sinkhorn(scores.detach(), options);
  const auto loss = cluster::assignment_loss(scores, assigned.assignments, config.cluster.temperature).mean();
  torch::autograd::grad({loss}, parameters);
}

void flow_step(const recipe::RunConfig& config, const network::Network& network, const data::Batch& batch,
               const at::Device& device) {
  std::vector<Tensor> parameters;
  for (const auto& parameter : network.model->parameters()) {
    if (parameter.requires_grad()) parameters.push_back(parameter);
  }
  in_shards(batch.x.size(0), device, [&](int64_t first, int64_t size) {
    const auto x = batch.x.narrow(0, first, size).to(device);
    const auto t = at::full({size}, 0.5, x.options());
    const auto point = network.predictions.training_point(x, x.flip(0), t);
    const auto out = network.model->forward(point.input, point.time, network::unconditional_for(config));
    const auto loss = flow::velocity_loss(out.prediction, point.target).mean();
    torch::autograd::grad({loss}, parameters, {}, {}, false, /*allow_unused=*/true);
  });
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.defined() == b.defined() && (!a.defined() || at::equal(a, b));
}

bool same_results(const learn::StepResult& a, const learn::StepResult& b) {
  // With one view no image of a small batch may lie inside the window: then nothing is balanced.
  const bool same_balance = a.sinkhorn && b.sinkhorn ? same_bits(a.sinkhorn->assignments, b.sinkhorn->assignments)
                                                     : !a.sinkhorn && !b.sinkhorn;
  return same_bits(a.ids, b.ids) && same_bits(a.gradient, b.gradient) && same_balance;
}

}  // namespace

SinkhornBench bench_sinkhorn(const recipe::RunConfig& original, int64_t images, int64_t rounds,
                             const Progress& progress) {
  recipe::RunConfig config = original;
  config.condition.source = recipe::Source::kOnline;
  config.model.activation_checkpointing = false;
  const auto device = parse_device(config.device);
  auto network = network::build_network(config, 0, device);
  network.set_training(true);
  SinkhornBench out;
  out.batch = config.train.batch * (network::patch_level(config) ? network.model->patch_tokens() : 1);
  out.clusters = config.cluster.clusters;
  out.features = network::feature_dim(config, *network.model);
  out.dim = network.model->dim();
  out.images = images;

  config.train.batch = images;
  const auto batch = random_batch(config, 0);
  const auto features = noise(1, out.batch, {out.features}, device);
  const auto scores = noise(2, out.batch, {out.clusters}, device).mul_(0.3).clamp_(-1, 1);
  const auto parameters = network.head->parameters();
  cluster::SinkhornOptions options;
  options.epsilon = config.cluster.epsilon;
  options.iterations = config.cluster.iterations;
  const auto times = interleaved_medians(
      {[&] { cluster::sinkhorn(scores, options); }, [&] { head_step(config, network.head, features, parameters); },
       [&] { flow_step(config, network, batch, device); }},
      rounds, device, progress);
  const double flow = times[2] * static_cast<double>(original.train.batch) / static_cast<double>(images);
  const double step = times[1] + flow;
  out.rows = {
      {cat("Sinkhorn alone, ", options.iterations, " sweeps"), times[0], times[0] / step},
      {"head forward, Sinkhorn, loss, backward", times[1], times[1] / step},
      {cat("flow loss forward and backward, ", images, " images scaled to ", original.train.batch), flow, flow / step}};
  return out;
}

EarlyExitBench bench_early_exit(const recipe::RunConfig& original, int64_t rounds, const Progress& progress) {
  recipe::RunConfig config = original;
  config.condition.source = recipe::Source::kOnline;
  config.align = {};
  config.cluster.start = 0;
  config.condition.change = 0;  // with one view the teacher looks at nothing before the change
  config.cluster.early_exit = true;
  recipe::RunConfig to_the_end = config;
  to_the_end.cluster.early_exit = false;
  const auto device = parse_device(config.device);
  learn::Learner exits(config, device, {}, 0), stays(to_the_end, device, {}, 0);

  EarlyExitBench out;
  out.identical = true;
  learn::StepResult first;
  const auto x = random_batch(config, 0).x;
  const auto teacher_pass = [&](const recipe::RunConfig& how, learn::Learner& learner) {
    in_shards(x.size(0), device, [&](int64_t begin, int64_t size) {
      const auto piece = x.narrow(0, begin, size).to(device);
      const auto t = at::full({size}, how.cluster.teacher_time, piece.options());
      network::features_at(how, learner.teacher(), piece, piece.flip(0), t);
    });
  };
  // Both learners take the same steps, so their states stay equal as long as their results are.
  const auto times =
      interleaved_medians({[&] { first = exits.step(random_batch(config, exits.steps_done())); },
                           [&] {
                             const auto second = stays.step(random_batch(config, stays.steps_done()));
                             out.identical = out.identical && same_results(first, second);
                           },
                           [&] { teacher_pass(config, exits); }, [&] { teacher_pass(to_the_end, stays); }},
                          rounds, device, progress);
  const double whole = times[1];
  out.rows = {{"step, teacher stops after the tapped block", times[0], times[0] / whole},
              {"step, teacher runs to its end", times[1], 1},
              {"one pass of the teacher, stopped", times[2], times[2] / whole},
              {"one pass of the teacher, to its end", times[3], times[3] / whole}};
  out.saved = 1 - times[0] / whole;
  return out;
}

}  // namespace sdg::bench
