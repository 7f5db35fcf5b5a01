#include "sdg/learn/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/learn/learner.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

// AdamW (Loshchilov & Hutter 2019, algorithm 2) of one number after another, in double.
struct ScalarAdamW {
  recipe::TrainOptions options;
  std::vector<double> m, v;
  int64_t t = 0;

  void step(std::vector<double>& w, std::vector<double> g, double lr) {
    m.resize(w.size());
    v.resize(w.size());
    ++t;
    double norm = 0;
    for (const double x : g) norm += x * x;
    norm = std::sqrt(norm);
    for (size_t i = 0; i < w.size(); ++i) {
      if (options.clip > 0 && norm > options.clip) g[i] *= options.clip / norm;
      m[i] = options.beta1 * m[i] + (1 - options.beta1) * g[i];
      v[i] = options.beta2 * v[i] + (1 - options.beta2) * g[i] * g[i];
      const double mean = m[i] / (1 - std::pow(options.beta1, t)), square = v[i] / (1 - std::pow(options.beta2, t));
      w[i] -= lr * options.weight_decay * w[i] + lr * mean / (std::sqrt(square) + options.eps);
    }
  }
};

std::vector<double> doubles(const Tensor& x) {
  const auto y = x.to(at::kDouble).contiguous();
  return {y.const_data_ptr<double>(), y.const_data_ptr<double>() + y.numel()};
}

}  // namespace

TEST(LearningRate, RisesLinearlyThenStaysOrFallsToAHundredth) {
  recipe::TrainOptions options;
  options.lr = 0.4;
  options.warmup = 4;
  options.steps = 104;
  options.schedule = recipe::Schedule::kConstant;
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 0), 0.1);
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 3), 0.4);
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 4), 0.4);
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 103), 0.4);
  options.schedule = recipe::Schedule::kCosine;
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 1), 0.2);
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 4), 0.4);
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 54), 0.4 * (0.01 + 0.99 * 0.5));
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 29), 0.4 * (0.01 + 0.99 * 0.5 * (1 + std::sqrt(0.5))));
  EXPECT_NEAR(learn::learning_rate(options, 104), 0.004, 1e-15);
  EXPECT_NEAR(learn::learning_rate(options, 5000), 0.004, 1e-15);
}

TEST(LearningRate, GoesWithTheInverseOfTheWidthWhereAsked) {
  recipe::TrainOptions options;
  options.lr = 0.4;
  options.warmup = 0;
  options.schedule = recipe::Schedule::kConstant;
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 0, 256), 0.4);
  options.lr_width = 128;
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 0, 256), 0.2);
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 0, 64), 0.8);
}

TEST(LearningRate, NeedsNoWarmUp) {
  recipe::TrainOptions options;
  options.warmup = 0;
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, 0), options.lr);
  options.warmup = options.steps;
  EXPECT_DOUBLE_EQ(learn::learning_rate(options, options.steps - 1), options.lr);
}

TEST(EmaDecay, RampsUpToTheOption) {
  recipe::TrainOptions options;
  options.ema = 0.995;
  EXPECT_DOUBLE_EQ(learn::ema_decay(options, 0), 0.1);
  EXPECT_DOUBLE_EQ(learn::ema_decay(options, 80), 0.9);
  EXPECT_DOUBLE_EQ(learn::ema_decay(options, 1789), 1790.0 / 1799.0);
  EXPECT_DOUBLE_EQ(learn::ema_decay(options, 100000), 0.995);
}

TEST(AdamW, EqualsAScalarTwinInDouble) {
  for (const double clip : {0.0, 1.0, 100.0}) {
    recipe::TrainOptions options;
    options.clip = clip;
    options.weight_decay = 0.1;
    options.eps = 1e-3;
    auto values = rng::normal({1, rng::Purpose::kTest, 0}, {0}, {37}).view({37});
    auto twin = doubles(values);
    learn::AdamW optimizer(options, values);
    ScalarAdamW scalar{options, {}, {}};
    for (int64_t step = 0; step < 20; ++step) {
      const auto gradient = rng::normal({2, rng::Purpose::kTest, 0}, {step}, {37}).view({37}) * (step + 1);
      const double norm = optimizer.step(values, gradient.clone(), 0.01);
      EXPECT_NEAR(norm, gradient.to(at::kDouble).norm().item<double>(), 1e-4 * norm);
      scalar.step(twin, doubles(gradient), 0.01);
    }
    const auto got = doubles(values);
    for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], twin[i], 2e-6) << "clip " << clip << ", " << i;
    EXPECT_EQ(optimizer.steps_done.item<double>(), 20);
  }
}

TEST(AdamW, ThrowsForAGradientThatIsNotFiniteAndChangesNothing) {
  recipe::TrainOptions options;
  auto values = at::arange(5, at::kFloat);
  learn::AdamW optimizer(options, values);
  optimizer.step(values, at::ones({5}), 0.1);
  const auto before = values.clone(), mean = optimizer.exp_avg.clone(), square = optimizer.exp_avg_sq.clone();
  for (const double bad : {std::nan(""), static_cast<double>(INFINITY)}) {
    auto gradient = at::ones({5});
    gradient[2] = bad;
    EXPECT_THAT(test::message_of<Error>([&] { optimizer.step(values, gradient, 0.1); }), HasSubstr("not finite"));
    EXPECT_TRUE(test::same_bytes(values, before));
    EXPECT_TRUE(test::same_bytes(optimizer.exp_avg, mean));
    EXPECT_TRUE(test::same_bytes(optimizer.exp_avg_sq, square));
    EXPECT_EQ(optimizer.steps_done.item<double>(), 1);
  }
}

TEST(Learner, ABatchWhoseLossIsNotFiniteLeavesNoTrace) {
  const auto config = test::tiny_config("unused");
  data::Batch good;
  good.sample = good.index = rng::consecutive(0, 8);
  good.x = rng::uniform({3, rng::Purpose::kTest, 0}, good.sample, {1, 8, 8});
  auto bad = good;
  bad.x = good.x.clone();
  bad.x[7][0][0][0] = std::nan("");

  learn::Learner learner(config, at::kCPU, {}, 0), twin(config, at::kCPU, {}, 0);
  EXPECT_THAT(test::message_of<Error>([&] { learner.step(bad); }),
              HasSubstr("step 1: the flow loss is nan (the training data itself"));
  EXPECT_EQ(learner.steps_done(), 0);
  learner.step(good);
  twin.step(good);
  tensors::TensorFile a, b;
  learner.save(a);
  twin.save(b);
  for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(test::same_bytes(tensor, b.at(name))) << name;
}

TEST(Learner, TheAverageOfTheWeightsFollowsItsFormula) {
  const auto config = test::tiny_config("unused", "none");
  learn::Learner learner(config, at::kCPU, {}, 0);
  const auto read = [](network::Network& network) { return network.model->parameters().back().detach().clone(); };
  auto average = read(learner.teacher()).to(at::kDouble);
  for (int64_t n = 0; n < 4; ++n) {
    data::Batch batch;
    batch.sample = batch.index = rng::consecutive(8 * n, 8);
    batch.x = rng::uniform({3, rng::Purpose::kTest, 0}, batch.sample, {1, 8, 8});
    learner.step(batch);
    const double keep = (1.0 + static_cast<double>(n)) / (10.0 + static_cast<double>(n));
    average = keep * average + (1 - keep) * read(learner.student()).to(at::kDouble);
    EXPECT_LT((read(learner.teacher()).to(at::kDouble) - average).abs().max().item<double>(), 1e-6);
  }
  EXPECT_GT(average.abs().max().item<double>(), 1e-4);
}
