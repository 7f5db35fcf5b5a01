// What a CUDA device computes, beside the CPU. On a machine without one every test here skips, saying so.
#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <cmath>
#include <cstdio>

#include "core/philox_cuda.h"
#include "core/philox_device.h"
#include "sdg/cluster/kmeans.h"
#include "sdg/cluster/sinkhorn.h"
#include "sdg/core/device.h"
#include "sdg/core/log.h"
#include "sdg/core/replay.h"
#include "sdg/core/rng.h"
#include "sdg/generate/generate.h"
#include "sdg/learn/bucket_exchange.h"
#include "sdg/learn/learner.h"
#include "support/thread_reducer.h"
#include "support/tiny_run.h"

#ifdef SDG_CUDA_KERNELS
#include <c10/cuda/CUDAFunctions.h>
#endif

using namespace sdg;

namespace {

class OnTheDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no CUDA device here: nothing was tested";
    device_ = parse_device("cuda");
  }
  at::Device device_ = at::kCPU;
};

class EveryBackbone : public OnTheDevice, public ::testing::WithParamInterface<const char*> {};

// Small, with layers of every kind that the family has.
recipe::RunConfig config_of(const std::string& model, const std::string& source) {
  auto config = test::tiny_config("unused", source);
  const bool transformer = model.find("unet") == std::string::npos && model.find("adm") == std::string::npos;
  config.model = {};
  config.model.name = model;
  config.data.size = transformer ? 8 : 16;
  config.train.batch = 16;
  config.train.shard = 16;
  test::named(config.cluster.pooling, "mean");
  test::named(config.cluster.balance, "batch");
  return config;
}

data::Batch batch_of(const recipe::RunConfig& config, int64_t step) {
  data::Batch batch;
  batch.sample = rng::consecutive(config.train.batch * step, config.train.batch);
  for (const auto sample : batch.sample) batch.index.push_back(sample % 40);
  batch.x =
      rng::normal({3, rng::Purpose::kTest, 0}, batch.sample, {config.data.channels, config.data.size, config.data.size})
          .clamp(-1, 1);
  return batch;
}

double distance(const Tensor& found, const Tensor& expected) {
  const auto a = found.cpu().to(at::kDouble), b = expected.cpu().to(at::kDouble);
  return ((a - b).norm() / b.norm().clamp_min(1e-30)).item<double>();
}

// Networks begin with layers of zeros, which hide what comes before them.
void shake(network::Network& network) {
  const at::NoGradGuard no_grad;
  int64_t key = 0;
  for (auto& parameter : network.model->parameters()) {
    const auto noise = rng::normal({7, rng::Purpose::kTest, 0}, {key++}, parameter.sizes()).view(parameter.sizes());
    parameter.add_(noise.to(parameter.device()), 0.02);
  }
}

// From here on whatever waits for the device throws.
class NoWaiting {
 public:
#ifdef SDG_CUDA_KERNELS
  NoWaiting() { c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_ERROR); }
  ~NoWaiting() { c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED); }
  static constexpr bool kHere = true;
#else
  static constexpr bool kHere = false;
#endif
};

}  // namespace

TEST_F(OnTheDevice, WordsAndUniformsAreTheCpusAndNormalsWithinAMillionth) {
  const rng::Stream stream{5, rng::Purpose::kTest, 2};
  std::vector<int64_t> few{3, 1000000007, int64_t{1} << 40};
  for (const auto& samples : {few, rng::consecutive(100, 64)}) {
    for (const int64_t count : {1, 3, 7, 4096}) {
      EXPECT_TRUE(
          at::equal(rng::uniform(stream, samples, {count}, device_).cpu(), rng::uniform(stream, samples, {count})));
      const auto normals = rng::normal(stream, samples, {count});
      EXPECT_LE((rng::normal(stream, samples, {count}, device_).cpu() - normals).abs().max().item<double>(), 1e-6);
      // The kernel's slow twin.
      const auto by_tensors =
          rng::draw_by_tensors(rng::Draw::kNormal, stream, rng::counters(samples, device_), count).cpu();
      EXPECT_LE((by_tensors - normals).abs().max().item<double>(), 1e-6);
    }
  }
  std::printf("random numbers on %s: %s\n", device_.str().c_str(),
              rng::has_cuda_kernels(device_) ? "by the kernel" : "by tensor operations");
}

TEST_P(EveryBackbone, AnswersAsOnTheCpu) {
  const auto config = config_of(GetParam(), "none");
  auto here = network::build_network(config, 0, at::kCPU), there = network::build_network(config, 0, device_);
  shake(here);
  shake(there);
  const auto batch = batch_of(config, 0);
  const auto t = at::linspace(0.05, 0.95, batch.x.size(0));
  const auto none = model::Condition::unconditional();
  const at::NoGradGuard no_grad;
  const auto expected = here.velocity(batch.x, t, none);
  EXPECT_LE(distance(there.velocity(batch.x.to(device_), t.to(device_), none), expected), 1e-4);
  for (const auto precision : {Precision::kTf32, Precision::kBf16}) {
    there.precision = precision;
    EXPECT_LE(distance(there.velocity(batch.x.to(device_), t.to(device_), none), expected), 0.03);
  }
}

TEST_P(EveryBackbone, TrainsTwentyStepsAsOnTheCpu) {
  for (const std::string source : {"none", "online"}) {
    const auto config = config_of(GetParam(), source);
    learn::Learner here(config, at::kCPU, {}, 0, 40), there(config, device_, {}, 0, 40);
    shake(here.student());
    shake(there.student());
    for (int64_t step = 0; step < 20; ++step) {
      const auto expected = here.step(batch_of(config, step)), found = there.step(batch_of(config, step));
      if (step == 0) EXPECT_LE(distance(found.gradient, expected.gradient), 2e-3) << source;
      EXPECT_NEAR(found.flow_loss, expected.flow_loss, 0.01 * expected.flow_loss) << source << ", step " << step;
      if (source == "online" && step < 5) EXPECT_NEAR(found.cluster_loss, expected.cluster_loss, 0.02) << step;
    }
    there.settle();
  }
}

TEST_P(EveryBackbone, TrainsTwentyStepsFromRecordedPasses) {
  if (!recordings_on(device_)) GTEST_SKIP() << "built without nvcc: nothing can be recorded";
  for (const std::string source : {"none", "online"}) {
    auto config = config_of(GetParam(), source);
    learn::Learner plain(config, device_, {}, 0, 40);
    config.train.graph = Graph::kCuda;
    learn::Learner recorded(config, device_, {}, 0, 40);
    shake(plain.student());
    shake(recorded.student());
    std::vector<std::string> said;
    log::set_sink([&](log::Level, std::string_view text) { said.emplace_back(text); });
    for (int64_t step = 0; step < 20; ++step) {
      const auto expected = plain.step(batch_of(config, step)), found = recorded.step(batch_of(config, step));
      EXPECT_NEAR(found.flow_loss, expected.flow_loss, 1e-3 * expected.flow_loss) << source << ", step " << step;
      if (source == "online" && step < 10) EXPECT_NEAR(found.cluster_loss, expected.cluster_loss, 0.01) << step;
    }
    recorded.settle();
    log::set_sink({});
    EXPECT_THAT(said, ::testing::IsEmpty());  // it was recorded
  }
}

TEST_P(EveryBackbone, DrawsTheImagesOfTheCpu) {
  const auto config = config_of(GetParam(), "none");
  auto here = network::build_network(config, 0, at::kCPU), there = network::build_network(config, 0, device_);
  shake(here);
  shake(there);
  here.set_training(false);
  there.set_training(false);
  generate::Request request;
  request.sample.count = 8;
  request.sample.steps = 5;
  request.latents = true;
  const auto expected = generate::generate(config, here, {}, at::kCPU, request).latents;
  EXPECT_LE(distance(generate::generate(config, there, {}, device_, request).latents, expected), 1e-3);
}

TEST_P(EveryBackbone, DrawsTheSameImagesFromAGraph) {
  if (!recordings_on(device_)) GTEST_SKIP() << "built without nvcc: nothing can be recorded";
  const auto config = config_of(GetParam(), "online");
  auto network = network::build_network(config, 0, device_);
  shake(network);
  network.set_training(false);
  const auto prior = at::ones({config.cluster.clusters}, at::kDouble);
  generate::Request request;
  request.sample.count = 8;
  request.sample.steps = 8;
  request.sample.guidance = 2;
  request.latents = true;
  for (const auto precision : {Precision::kFloat32, Precision::kBf16}) {
    request.sample.precision = precision;
    request.sample.graph = Graph::kNone;
    const auto expected = generate::generate(config, network, prior, device_, request).latents;
    request.sample.graph = Graph::kCuda;
    std::vector<std::string> said;
    log::set_sink([&](log::Level, std::string_view text) { said.emplace_back(text); });
    const auto found = generate::generate(config, network, prior, device_, request).latents;
    log::set_sink({});
    EXPECT_THAT(said, ::testing::IsEmpty());  // it was recorded
    EXPECT_LE(distance(found, expected), precision == Precision::kFloat32 ? 1e-5 : 0.02);
  }
}

TEST_P(EveryBackbone, StepsToTheSameBitsWhereThatIsAskedFor) {
  auto& context = at::globalContext();
  only_deterministic(device_);
  const auto config = config_of(GetParam(), "online");
  std::vector<Tensor> weights;
  for (int run = 0; run < 2; ++run) {
    learn::Learner learner(config, device_, {}, 0, 40);
    for (int64_t step = 0; step < 10; ++step) learner.step(batch_of(config, step));
    learner.settle();
    std::vector<Tensor> flat;
    for (const auto& parameter : learner.student().model->parameters())
      flat.push_back(parameter.detach().cpu().flatten());
    weights.push_back(at::cat(flat));
  }
  context.setDeterministicAlgorithms(false, false);
  EXPECT_TRUE(test::same_bytes(weights[0], weights[1]));
}

TEST_P(EveryBackbone, AStepWaitsForNothing) {
  if (!NoWaiting::kHere) GTEST_SKIP() << "built without nvcc: LibTorch cannot be asked to refuse waiting";
  const auto config = config_of(GetParam(), "online");
  learn::Learner learner(config, device_, {}, 0, 40);
  for (int64_t step = 0; step < 6; ++step) learner.step(batch_of(config, step));  // memory and libraries are ready then
  synchronize(device_);
  {
    [[maybe_unused]] const NoWaiting no_waiting;
    learner.step(batch_of(config, 6));
  }
  learner.settle();
}

INSTANTIATE_TEST_SUITE_P(Of, EveryBackbone,
                         ::testing::Values("uvit-tiny/2", "dit-tiny/2", "sit-tiny/2", "adm-tiny", "sg-unet-fast"));

TEST_F(OnTheDevice, ABadStepIsUndoneThere) {
  const auto config = config_of("uvit-tiny/2", "online");
  learn::Learner learner(config, device_, {}, 0, 40);
  for (int64_t step = 0; step < 5; ++step) learner.step(batch_of(config, step));
  learner.settle();
  const auto state = [&] {
    tensors::TensorFile file;
    learner.save(file);
    for (auto& item : file.tensors) item.second = item.second.cpu().clone();
    return file;
  };
  const auto before = state();
  auto spoiled = batch_of(config, 5);
  spoiled.x[1][0][0][0] = NAN;
  learner.step(spoiled);
  learner.step(batch_of(config, 6));
  EXPECT_THAT(test::message_of<learn::BadStep>([&] { learner.settle(); }),
              ::testing::HasSubstr("step 6: the flow loss"));
  const auto after = state();
  for (const auto& [name, tensor] : before.tensors) EXPECT_TRUE(test::same_bytes(tensor, after.at(name))) << name;
}

TEST_F(OnTheDevice, BucketsThatGoWhileTheGradientIsFilledAddUpToTheCpusBits) {
  constexpr int64_t kSize = int64_t{1} << 20;
  const auto gradient_of = [](int64_t rank) {
    return rng::normal({rank + 1ULL, rng::Purpose::kTest, 0}, {0}, {kSize})[0];
  };
  const auto expected = gradient_of(0) + gradient_of(1);
  for (int trial = 0; trial < 20; ++trial) {
    test::on_ranks(2, [&](Reducer& reducer) {
      const auto own = gradient_of(reducer.rank()).to(device_);
      auto gradient = at::full({kSize}, NAN, own.options());
      learn::BucketExchange exchange(gradient, reducer, 100'000);
      for (int64_t first = kSize; first > 0;) {
        const auto next = std::max<int64_t>(0, first - 30'000);
        gradient.slice(0, next, first).copy_(own.slice(0, next, first));
        exchange.filled(first = next);
      }
      exchange.finish();
      EXPECT_TRUE(at::equal(gradient.cpu(), expected));
    });
  }
}

TEST_F(OnTheDevice, TwoRanksWithMicroBatchesTrainAsOne) {
  auto config = config_of("uvit-tiny/2", "online");
  config.train.micro_batch = 3;
  config.train.eps = 1e-4;
  const auto train = [&](Reducer& reducer) {
    learn::Learner learner(config, device_, {}, 0, 40, reducer);
    for (int64_t step = 0; step < 5; ++step) {
      auto batch = batch_of(config, step);
      const auto own = own_rows(config.train.batch, reducer);
      const auto part = [&](const std::vector<int64_t>& all) {
        return std::vector<int64_t>(all.begin() + own.begin, all.begin() + own.end);
      };
      learner.step({batch.x.slice(0, own.begin, own.end), part(batch.index), part(batch.sample)});
    }
    learner.settle();
    return learner.teacher().tensors("");
  };
  const auto one = train(Reducer::local());
  test::on_ranks(2, [&](Reducer& reducer) {
    for (const auto& [name, tensor] : train(reducer)) {
      if (tensor.is_floating_point()) EXPECT_LT(distance(tensor, one.at(name)), 1e-3) << name;
    }
  });
}

TEST_F(OnTheDevice, SinkhornIsTheCpusWithinFloat32) {
  const auto scores = rng::uniform({1, rng::Purpose::kTest, 0}, rng::consecutive(0, 512), {64}) * 2 - 1;
  const auto expected = cluster::sinkhorn(scores);
  cluster::SinkhornOptions options;
  options.no_waiting = true;
  const auto found = cluster::sinkhorn(scores.to(device_), options);
  EXPECT_LE((found.assignments.cpu() - expected.assignments).abs().max().item<double>(), 1e-4);
  EXPECT_EQ(found.used_clusters, expected.used_clusters);
}

TEST_F(OnTheDevice, KmeansFindsPlantedClustersAsTheCpu) {
  const auto planted = at::arange(12).repeat({40});
  const auto noise = rng::normal({2, rng::Purpose::kTest, 0}, rng::consecutive(0, 480), {8});
  const auto x = 10 * rng::normal({2, rng::Purpose::kTest, 1}, rng::consecutive(0, 12), {8}).index_select(0, planted) +
                 0.1 * noise;
  for (const int64_t minibatch : {0, 96}) {
    const cluster::KmeansOptions options{.clusters = 12, .minibatch = minibatch};
    const auto here = cluster::kmeans(x, options), there = cluster::kmeans(x.to(device_), options);
    EXPECT_NEAR(there.inertia / here.inertia, 1, 1e-4) << minibatch;
    EXPECT_TRUE(at::equal(there.assignments.cpu(), here.assignments)) << minibatch;
  }
}
