#include "sdg/metrics/manifold.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <iostream>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::metrics {
namespace {

Tensor real_rows() {
  return at::arange(36, at::kDouble).mul(1.7).sin().mul(1.5).view({12, 3});
}
Tensor fake_rows() {
  return at::arange(30, at::kDouble).mul(1.3).add(0.4).cos().mul(1.2).add(0.3).view({10, 3});
}
Tensor drawn(uint64_t step, int64_t n, double shift = 0) {
  return rng::normal({8, rng::Purpose::kTest, step}, rng::consecutive(0, n), {4}) + shift;
}
void expect_values(const Manifold& m, double precision, double recall, double density, double coverage) {
  EXPECT_NEAR(m.precision, precision, 1e-7);
  EXPECT_NEAR(m.recall, recall, 1e-7);
  EXPECT_NEAR(m.density, density, 1e-7);
  EXPECT_NEAR(m.coverage, coverage, 1e-7);
}

// Everything at once, from the definition.
Manifold slow(const Tensor& real, const Tensor& fake, int64_t k) {
  const auto table = [](const Tensor& a, const Tensor& b) {
    return at::cdist(a.to(at::kDouble), b.to(at::kDouble), 2, /*compute_mode=*/2);
  };
  const auto radii = [&](const Tensor& rows) { return std::get<0>(table(rows, rows).sort(1)).select(1, k); };
  const auto across = table(real, fake);
  const auto in_real = across < radii(real).unsqueeze(1), in_fake = across < radii(fake).unsqueeze(0);
  const auto mean = [](const Tensor& x) { return x.to(at::kDouble).mean().item<double>(); };
  return {mean(in_real.any(0)), mean(in_fake.any(1)), mean(in_real.sum(0)) / static_cast<double>(k),
          mean(in_real.any(1))};
}

}  // namespace

TEST(Manifold, GivesTheKnownValuesOfTwoSmallSets) {
  expect_values(manifold(real_rows(), fake_rows(), 3, Surface::kOut), 1, 1, 1.2333333333, 1);
  expect_values(manifold(real_rows(), fake_rows(), 2, Surface::kOut), 0.8, 1, 1, 0.6666666667);
  expect_values(manifold(real_rows(), fake_rows(), 1, Surface::kOut), 0.1, 0.5, 0.1, 0.0833333333);
}

TEST(Manifold, BlocksChangeNothing) {
  const auto real = drawn(1, 2300), fake = drawn(2, 2200, 0.7);
  const auto a = manifold(real, fake, 5, Surface::kOut), b = slow(real, fake, 5);
  expect_values(a, b.precision, b.recall, b.density, b.coverage);
  EXPECT_LT(a.coverage, 0.99);
  EXPECT_GT(a.coverage, 0.2);
}

// Two heaps so far apart that float32 tells nothing of distances inside one, and lengths beyond its range.
TEST(Manifold, IsTheSameWhereSinglePrecisionDoesNotTell) {
  const auto heaps = [](uint64_t step, double shift) {
    return at::cat({drawn(step, 700), drawn(step + 1, 600, shift) + 1e5}).to(at::kDouble);
  };
  const auto right = slow(heaps(10, 0), heaps(20, 0.7), 5);
  EXPECT_LT(right.coverage, 0.99);
  for (const double scale : {1.0, 0x1p83, 0x1p-83}) {  // powers of two, which leave equal distances equal
    const auto found = manifold(heaps(10, 0) * scale, heaps(20, 0.7) * scale, 5, Surface::kOut);
    expect_values(found, right.precision, right.recall, right.density, right.coverage);
  }
}

// Of whole numbers distances are exact, and most of them equal: only the surface tells the two apart.
TEST(Manifold, TheSurfaceCountsAlsoAmongManyEqualDistances) {
  const auto grid =
      at::cartesian_prod({at::arange(40), at::arange(40)}).to(at::kDouble);  // radii 1 for k = 3, 4 inside
  const auto in = manifold(grid, grid + at::tensor({1.0, 0.0}, at::kDouble), 3, Surface::kIn);
  EXPECT_EQ(in.precision, 1);
  const auto out = manifold(grid, grid + at::tensor({1.0, 0.0}, at::kDouble), 3, Surface::kOut);
  const auto twin = slow(grid, grid + at::tensor({1.0, 0.0}, at::kDouble), 3);
  expect_values(out, twin.precision, twin.recall, twin.density, twin.coverage);
  EXPECT_GT(in.density, out.density + 0.5);
}

TEST(Manifold, SetsApartShareNothingAndACollapsedSetRecallsNothing) {
  const auto real = drawn(1, 60);
  expect_values(manifold(real, drawn(2, 50, 100), 3, Surface::kIn), 0, 0, 0, 0);
  const auto collapsed = manifold(real, drawn(3, 50) * 0.01, 3, Surface::kIn);
  EXPECT_EQ(collapsed.precision, 1);
  EXPECT_LT(collapsed.recall, 0.1);
}

TEST(Manifold, TheSurfaceCountsWhereItIsSaidTo) {
  const auto real = at::tensor({0.0, 1.0, 3.0, 10.0}, at::kDouble).view({4, 1});  // radii for k = 1: 1, 1, 2, 7
  const auto fake = at::tensor({-1.0, 100.0}, at::kDouble).view({2, 1});          // on the surface of 0's ball
  EXPECT_EQ(manifold(real, fake, 1, Surface::kIn).precision, 0.5);
  EXPECT_EQ(manifold(real, fake, 1, Surface::kOut).precision, 0);
}

// What tools/bench_eval.py does with NumPy; not part of the suite (--gtest_also_run_disabled_tests).
TEST(Manifold, DISABLED_TenThousandByTenThousandAt2048) {
  const auto rows = [](uint64_t step, double shift) {
    return rng::normal({8, rng::Purpose::kTest, step}, rng::consecutive(0, 10000), {2048}).to(at::kDouble) + shift;
  };
  const auto real = rows(50, 0), fake = rows(51, 0.05);
  const auto start = std::chrono::steady_clock::now();
  const auto found = manifold(real, fake, 3, Surface::kIn);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::cout << "precision " << found.precision << " recall " << found.recall << ": " << seconds.count()
            << " s, at most " << static_cast<double>(usage.ru_maxrss) / (1 << 20) << " GiB" << std::endl;
}

TEST(Manifold, RefusesFewerImagesThanNeighbours) {
  EXPECT_THROW(manifold(drawn(1, 3), drawn(2, 9), 3, Surface::kIn), Error);
  EXPECT_THROW(manifold(drawn(1, 9), drawn(2, 1), 3, Surface::kIn), Error);
}

}  // namespace sdg::metrics
