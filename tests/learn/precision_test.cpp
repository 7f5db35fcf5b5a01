#include "sdg/core/precision.h"

#include <ATen/ops/mm.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/learn/learner.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

data::Batch batch_of(int64_t step) {
  data::Batch batch;
  batch.sample = rng::consecutive(12 * step, 12);
  batch.index = batch.sample;
  batch.x = rng::normal({3, rng::Purpose::kTest, 0}, batch.sample, {1, 8, 8});
  return batch;
}

double distance(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

}  // namespace

TEST(Precision, IsRefusedInOneLineWhereTheDeviceHasNone) {
  check_precision(Precision::kFloat32, at::kCPU, "train.precision");
  EXPECT_THROW(check_precision(Precision::kTf32, at::kCPU, "train.precision"), UsageError);
  auto config = test::tiny_config("none.safetensors", "none");
  config.train.precision = Precision::kTf32;
  EXPECT_THROW(learn::Learner(config, at::kCPU, {}, 0), UsageError);
  if (has_native_bf16()) {
    check_precision(Precision::kBf16, at::kCPU, "train.precision");
    return;
  }
  try {
    check_precision(Precision::kBf16, at::kCPU, "train.precision");
    FAIL();
  } catch (const UsageError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("train.precision"), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
}

// The test of bf16's numbers: they need no speed, so they run on every machine.
TEST(Precision, Bf16IsWhatProductsAreInsideAndFloat32Outside) {
  const auto a = rng::normal({1, rng::Purpose::kTest, 0}, rng::consecutive(0, 8), {8});
  const auto plain = at::mm(a, a);
  {
    const PrecisionScope scope(Precision::kBf16, at::kCPU);
    EXPECT_EQ(at::mm(a, a).scalar_type(), at::kBFloat16);
    {
      const PrecisionScope inner(Precision::kFloat32, at::kCPU);
    }
    EXPECT_EQ(at::mm(a, a).scalar_type(), at::kBFloat16);
    EXPECT_LT(distance(at::mm(a, a).to(at::kFloat), plain), 0.02);
  }
  EXPECT_TRUE(at::equal(at::mm(a, a), plain));
}

TEST(Precision, ANetworkAnswersInFloat32AndCloseToIt) {
  const auto config = test::tiny_config("none.safetensors", "none");
  auto network = network::build_network(config, 0, at::kCPU);
  const auto x = batch_of(0).x;
  const auto t = at::full({12}, 0.4);
  const auto exact = network.velocity(x, t, model::Condition::unconditional());
  network.precision = Precision::kBf16;
  const auto rounded = network.velocity(x, t, model::Condition::unconditional());
  EXPECT_EQ(rounded.scalar_type(), at::kFloat);
  EXPECT_LT(distance(rounded, exact), 0.02);
  EXPECT_GT(distance(rounded, exact), 1e-5) << "nothing was rounded";
}

TEST(Precision, Bf16TrainsCloseToFloat32WithMastersInFloat32) {
  if (!has_native_bf16()) GTEST_SKIP() << "this CPU has no native bf16, where training refuses it";
  for (const std::string source : {"none", "online"}) {
    auto config = test::tiny_config("none.safetensors", source);
    config.train.shard = 5;
    const auto train = [&](Precision precision, int64_t steps) {
      config.train.precision = precision;
      learn::Learner learner(config, at::kCPU, {}, 0);
      learn::StepResult last;
      for (int64_t step = 0; step < steps; ++step) last = learner.step(batch_of(step));
      tensors::TensorFile file;
      learner.save(file);
      for (const auto& [name, tensor] : file.tensors) EXPECT_NE(tensor.scalar_type(), at::kBFloat16) << name;
      return std::pair{last, file.tensors.at("model.in_blocks.0.mlp.fc1.weight").clone()};
    };
    const auto exact = train(Precision::kFloat32, 1).first, rounded = train(Precision::kBf16, 1).first;
    EXPECT_EQ(rounded.gradient.scalar_type(), at::kFloat);
    EXPECT_LT(distance(rounded.gradient, exact.gradient), 0.05) << source;
    EXPECT_GT(distance(rounded.gradient, exact.gradient), 1e-5) << source << ": nothing was rounded";
    // Weights move from step to step: a copy left from an earlier step would show.
    EXPECT_NEAR(train(Precision::kBf16, 8).first.flow_loss, train(Precision::kFloat32, 8).first.flow_loss, 0.02);
    const auto again = train(Precision::kBf16, 8).second;
    EXPECT_TRUE(at::equal(train(Precision::kBf16, 8).second, again)) << "not the same twice";
  }
}
