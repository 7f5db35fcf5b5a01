#include "sdg/metrics/kernel_distance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::metrics {
namespace {

Tensor drawn(uint64_t step, int64_t n, int64_t width, double shift = 0) {
  return rng::normal({5, rng::Purpose::kTest, step}, rng::consecutive(0, n), {width}) + shift;
}

double k(const Tensor& a, const Tensor& b) {
  return std::pow((a * b).sum().item<double>() / static_cast<double>(a.size(0)) + 1, 3);
}

}  // namespace

TEST(KernelDistance, IsTheFormulaPairByPair) {
  const auto x = drawn(1, 9, 4).to(at::kDouble), y = drawn(2, 7, 4).to(at::kDouble);
  double xx = 0, yy = 0, xy = 0;
  for (int64_t i = 0; i < 9; ++i) {
    for (int64_t j = 0; j < 9; ++j) xx += i == j ? 0 : k(x[i], x[j]);
    for (int64_t j = 0; j < 7; ++j) xy += k(x[i], y[j]);
  }
  for (int64_t i = 0; i < 7; ++i)
    for (int64_t j = 0; j < 7; ++j) yy += i == j ? 0 : k(y[i], y[j]);
  EXPECT_NEAR(squared_mmd(x, y), xx / 72 + yy / 42 - 2 * xy / 63, 1e-12);
}

TEST(KernelDistance, BlocksOfRowsChangeNothing) {
  const auto x = drawn(1, 2100, 3), y = drawn(2, 2060, 3, 0.2);
  const auto a = x.to(at::kDouble), b = y.to(at::kDouble);
  const auto kernel = [](const Tensor& p, const Tensor& q) { return (p.mm(q.t()) / 3 + 1).pow(3); };
  const auto within = [&](const Tensor& p) {
    const auto n = static_cast<double>(p.size(0));
    const auto all = kernel(p, p);
    return (all.sum() - all.diagonal().sum()).item<double>() / (n * (n - 1));
  };
  EXPECT_NEAR(squared_mmd(x, y), within(a) + within(b) - 2 * kernel(a, b).mean().item<double>(), 1e-10);
}

TEST(KernelDistance, IsAboutNothingForOneDistributionAndGrowsWithTheShift) {
  const auto x = drawn(1, 600, 8);
  const KernelDistanceOptions options{.subsets = 20, .subset_size = 200, .seed = 3};
  const auto same = kernel_distance(x, drawn(2, 500, 8), options);
  EXPECT_EQ(same.subset_size, 200);
  EXPECT_LT(std::abs(same.mean), 3 * same.deviation);
  double before = same.mean;
  for (const double shift : {0.3, 0.6, 1.2}) {
    const auto moved = kernel_distance(x, drawn(2, 500, 8, shift), options).mean;
    EXPECT_GT(moved, before) << shift;
    before = moved;
  }
}

TEST(KernelDistance, SubsetsAreKeyedAndNeverLargerThanTheSets) {
  const auto x = drawn(1, 30, 4), y = drawn(2, 50, 4);
  const auto a = kernel_distance(x, y, {.subsets = 5, .seed = 1}), b = kernel_distance(x, y, {.subsets = 5, .seed = 1}),
             c = kernel_distance(x, y, {.subsets = 5, .seed = 2});
  EXPECT_EQ(a.subset_size, 30);
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_NE(a.mean, c.mean);
}

TEST(KernelDistance, SaysWhatIsTooLittle) {
  EXPECT_THROW(squared_mmd(drawn(1, 1, 4), drawn(2, 5, 4)), Error);
  EXPECT_THROW(squared_mmd(drawn(1, 5, 4), drawn(2, 5, 3)), Error);
  EXPECT_THROW(kernel_distance(drawn(1, 5, 4), drawn(2, 5, 4), {.subsets = 0}), Error);
}

}  // namespace sdg::metrics
