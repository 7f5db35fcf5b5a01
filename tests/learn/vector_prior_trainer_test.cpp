#include "sdg/learn/vector_prior_trainer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "sdg/core/error.h"

using namespace sdg;
using learn::VectorPriorOptions;
using learn::VectorPriorTrainer;

namespace {

constexpr VectorPriorOptions kSmall{.width = 64, .blocks = 2, .steps = 600, .batch = 128, .lr = 3e-3};

Tensor told(const VectorPriorOptions& options, const Tensor& rows, const Tensor& weights, int64_t drawn) {
  VectorPriorTrainer trainer(rows, weights, options, 0);
  while (trainer.done() < options.steps) trainer.advance();
  return trainer.prior().draw(0, rng::consecutive(0, drawn), at::kCPU);
}

// Two points, one told three times as often: whatever is drawn lies at one of them, at these shares.
TEST(VectorPriorTrainer, DrawsTwoPointsAsOftenAsTheyAreTold) {
  const auto rows = at::tensor({10.0f, 2.0f, 16.0f, 2.0f, 99.0f, 99.0f}).view({3, 2});
  const auto drawn = told(kSmall, rows, at::tensor({1.0, 3.0, 0.0}, at::kDouble), 2000);
  const auto apart = at::minimum((drawn - rows[0]).norm(2, {1}), (drawn - rows[1]).norm(2, {1}));
  EXPECT_LT(apart.median().item<double>(), 0.3);
  EXPECT_LT(apart.gt(1.5).to(at::kDouble).mean().item<double>(), 0.03);
  const double share = drawn.select(1, 0).gt(13).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(share, 0.75, 0.04);  // four standard deviations of 2,000 draws
}

// Of a Gaussian it has the mean and the covariance, correlations included.
TEST(VectorPriorTrainer, HasTheMomentsOfAGaussian) {
  const auto z = rng::normal({3, rng::Purpose::kTest, 0}, rng::consecutive(0, 4000), {2});
  const auto mix = at::tensor({2.0f, 0.0f, 1.5f, 0.5f}).view({2, 2});
  const auto rows = at::mm(z, mix.t()) + at::tensor({5.0f, -1.0f});
  const auto drawn = told(kSmall, rows, at::ones({4000}, at::kDouble), 4000);
  EXPECT_TRUE(at::allclose(drawn.mean(0), rows.mean(0), 0, 0.2)) << drawn.mean(0) << rows.mean(0);
  const auto covariance = [](const Tensor& x) {
    const auto c = x - x.mean(0);
    return at::mm(c.t(), c) / static_cast<double>(x.size(0));
  };
  EXPECT_TRUE(at::allclose(covariance(drawn), covariance(rows), 0.12, 0.1)) << covariance(drawn) << covariance(rows);
}

TEST(VectorPriorTrainer, RowsOfOneLengthAreDrawnAtThatLength) {
  auto rows = rng::normal({3, rng::Purpose::kTest, 0}, rng::consecutive(0, 50), {4});
  rows = rows / rows.norm(2, {1}, true) * 2;
  VectorPriorTrainer trainer(rows, at::ones({50}, at::kDouble), kSmall, 0);
  const auto lengths = trainer.prior().draw(0, {0, 1, 2}, at::kCPU).norm(2, {1});
  EXPECT_TRUE(at::allclose(lengths, at::full({3}, 2.0f), 1e-5, 0));
}

// The field begins at velocity zero: the loss is the mean square of what it should be.
TEST(VectorPriorTrainer, ItsFirstLossIsThatOfNoVelocity) {
  const auto rows = at::tensor({-3.0f, 5.0f}).view({2, 1});
  VectorPriorTrainer trainer(rows, at::ones({2}, at::kDouble), {.width = 8, .blocks = 1, .steps = 4, .batch = 4096}, 1);
  EXPECT_NEAR(trainer.advance(), 1 + 1, 0.1);  // unit variance of the rows as the field sees them, and the noise's
}

TEST(VectorPriorTrainer, IsAFunctionOfItsSeed) {
  const auto rows = rng::normal({3, rng::Purpose::kTest, 0}, rng::consecutive(0, 50), {4});
  const auto drawn = [&](uint64_t seed) {
    VectorPriorTrainer trainer(rows, at::ones({50}, at::kDouble), kSmall, seed);
    for (int i = 0; i < 5; ++i) trainer.advance();
    return trainer.prior().draw(0, {0, 1}, at::kCPU);
  };
  EXPECT_TRUE(at::equal(drawn(1), drawn(1)));
  EXPECT_FALSE(at::equal(drawn(1), drawn(2)));
}

TEST(VectorPriorTrainer, RefusesRowsThatSayNothing) {
  EXPECT_THROW(VectorPriorTrainer(at::ones({3, 2}), at::ones({3}, at::kDouble), kSmall, 0), Error);
  auto rows = at::arange(6).to(at::kFloat).view({3, 2});
  rows[1][1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(VectorPriorTrainer(rows, at::ones({3}, at::kDouble), kSmall, 0), Error);
}

}  // namespace
