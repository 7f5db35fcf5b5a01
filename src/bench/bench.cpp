#include "sdg/bench/bench.h"

#include <ATen/Parallel.h>
#include <torch/optim/adamw.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "bench/stopwatch.h"
#include "sdg/core/device.h"
#include "sdg/core/parallel.h"
#include "sdg/flow/path.h"
#include "sdg/generate/generate.h"
#include "sdg/learn/learner.h"

namespace sdg::bench {
namespace {

double matmul_gflops() {
  constexpr int64_t kSide = 512, kRepeats = 8;
  const int threads = worker_pool().threads();
  const double time = milliseconds([&] {
    worker_pool().run(threads, [](int64_t i) {
      const auto a = at::full({kSide, kSide}, 1.0 + static_cast<double>(i)), b = at::full({kSide, kSide}, 0.5);
      auto c = at::empty({kSide, kSide});
      for (int64_t repeat = 0; repeat < kRepeats; ++repeat) at::mm_out(c, a, b);
    });
  });
  return 2.0 * kSide * kSide * kSide * kRepeats * threads / time / 1e6;
}

/// The step that straightforward LibTorch code takes: whole batch, kernels' own threads, one optimizer kernel a
/// parameter.
class EagerStep {
 public:
  EagerStep(const recipe::RunConfig& config, const at::Device& device)
      : config_(config),
        device_(device),
        network_(network::build_network(config, 1, device)),
        optimizer_(network_.model->parameters(), config.train.lr) {
    network_.set_training(true);
  }
  void step(const data::Batch& batch) {
    const auto x = batch.x.to(device_);
    const auto t = at::rand({x.size(0)}, x.options());
    const auto path = flow::constant_velocity(x, at::randn_like(x), t, config_.flow.sigma_min);
    const auto out = network_.model->forward(path.x_t, t, model::Condition::unconditional());
    const auto loss = flow::velocity_loss(out.prediction, path.velocity).mean();
    optimizer_.zero_grad();
    loss.backward();
    optimizer_.step();
    loss.item<float>();
  }

 private:
  recipe::RunConfig config_;
  at::Device device_;
  network::Network network_;
  torch::optim::AdamW optimizer_;
};

}  // namespace

BenchReport bench(const recipe::RunConfig& original, int64_t rounds, bool steps_only) {
  recipe::RunConfig config = original;
  config.condition.source =
      recipe::Source::kNone;  // the network's own cost; clustering adds two partial forward passes of the teacher
  config.align = {};          // whose outside network costs what it costs
  recipe::RunConfig online = config;
  online.condition.source = recipe::Source::kOnline;
  const auto device = parse_device(config.device);
  learn::Learner plain(config, device, {}, 0), clustering(online, device, {}, 0);
  const auto batch = random_batch(config, 0);
  std::optional<EagerStep> eager;
  generate::Request drawing;
  drawing.sample.count = drawing.sample.batch = std::max<int64_t>(64, config.sample.batch);
  drawing.sample.steps = config.sample.steps;
  drawing.sample.graph = config.sample.graph;

  std::vector<double> peaks;
  std::vector<std::string> names{"training step", "training step, clustering online"};
  std::vector<std::function<void()>> parts{[&] { peaks.push_back(matmul_gflops()); }, [&] { plain.step(batch); },
                                           [&] { clustering.step(batch); }};
  if (!steps_only) {
    eager.emplace(config, device);
    names.insert(names.end(), {"eager step, kernels' own threads", "sampler, unguided"});
    parts.emplace_back([&] {
      at::set_num_threads(available_cores());
      eager->step(batch);
      at::set_num_threads(1);
    });
    parts.emplace_back([&] { generate::generate(config, plain.teacher(), {}, device, drawing); });
  }
  const auto times = interleaved_medians(parts, rounds, device);

  BenchReport report;
  report.threads = worker_pool().threads();
  report.peak_gflops = median(peaks);
  const double flops = 2.0 * static_cast<double>(plain.student().model->macs());
  for (size_t i = 0; i < names.size(); ++i) {
    const bool sampler = i == 3;
    const double images = static_cast<double>(sampler ? drawing.sample.count : config.train.batch);
    const double per_image =
        flops * (sampler ? static_cast<double>(drawing.sample.steps) : 3.0);  // backward costs two forwards
    const double time = times[i + 1];
    report.rows.push_back({names[i], time, images / time * 1e3, per_image * images / time / 1e6});
  }
  return report;
}

}  // namespace sdg::bench
