#include "sdg/metrics/frechet_spread.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::metrics {
namespace {

constexpr int64_t kWidth = 6;

Tensor drawn(uint64_t step, int64_t n, double shift = 0.3) {
  return rng::normal({12, rng::Purpose::kTest, step}, rng::consecutive(0, n), {kWidth}) + shift;
}
Gaussian standard() {
  Gaussian out;
  out.mu = at::zeros({kWidth}, at::kDouble);
  out.sigma = at::eye(kWidth, at::kDouble);
  return out;
}
Gaussian gaussian_of(const Tensor& rows) {
  GaussianAccumulator sums(rows.size(1));
  sums.add(rows);
  return sums.result();
}

}  // namespace

TEST(FrechetLimit, TakesOutMostOfTheBiasOfFewImages) {
  double plain = 0, limit = 0;  // the distributions are one, so that the right value is 0
  for (uint64_t run = 0; run < 20; ++run) {
    const auto rows = drawn(run, 1000, 0);
    plain += frechet_distance(gaussian_of(rows), standard()) / 20;
    limit += frechet_limit(rows, standard(), 15, run).value / 20;
  }
  EXPECT_GT(plain, 0.005);
  EXPECT_LT(std::abs(limit), plain / 3);
}

TEST(FrechetLimit, SizesGoFromATenthToAllAndTheLastIsTheDistanceItself) {
  const auto rows = drawn(1, 300);
  const auto found = frechet_limit(rows, standard(), 4, 7);
  EXPECT_EQ(found.counts, (std::vector<int64_t>{30, 120, 210, 300}));
  EXPECT_NEAR(found.distances.back(), frechet_distance(gaussian_of(rows), standard()), 1e-12);
  EXPECT_NEAR(found.value, frechet_limit(rows, standard(), 4, 7).value, 0);
  EXPECT_THROW(frechet_limit(drawn(1, 19), standard()), Error);
}

TEST(FrechetInterval, ItsDeviationIsThatOfDistancesOfFreshImages) {
  constexpr int kRuns = 200;
  std::vector<double> fresh;
  for (uint64_t run = 0; run < kRuns; ++run)
    fresh.push_back(frechet_distance(gaussian_of(drawn(100 + run, 300)), standard()));
  const double deviation = at::tensor(fresh, at::kDouble).std().item<double>();
  const auto found = frechet_interval(drawn(1, 300), standard(), 200);
  EXPECT_NEAR(found.deviation / deviation, 1, 0.25);
  EXPECT_NEAR(found.value, frechet_distance(gaussian_of(drawn(1, 300)), standard()), 1e-12);
  EXPECT_NEAR((found.high - found.low) / (2 * 1.96 * deviation), 1, 0.3);
}

TEST(FrechetInterval, HoldsTheMeanOfItsSizeAboutAsOftenAsItsLevelSays) {
  double mean = 0;
  for (uint64_t run = 0; run < 300; ++run)
    mean += frechet_distance(gaussian_of(drawn(1000 + run, 200)), standard()) / 300;
  int held = 0;
  for (uint64_t run = 0; run < 60; ++run) {
    const auto found = frechet_interval(drawn(2000 + run, 200), standard(), 60, 0.9, run);
    held += found.low <= mean && mean <= found.high;
  }
  EXPECT_GE(held, 47) << "of 60, of which 54 are expected";
}

TEST(FrechetDifference, OfPairsIsNarrowerThanOfStrangersAndHoldsTheTruth) {
  // Distance |m|^2 to N(0, 1): pairs that are 0.3 and 0.25 away differ by 6 (0.3^2 - 0.25^2).
  const double truth = kWidth * (0.3 * 0.3 - 0.25 * 0.25);
  int holds = 0;
  double paired = 0, strangers = 0;
  for (uint64_t run = 0; run < 40; ++run) {
    const auto a = drawn(run, 300, 0.3);
    const auto same = frechet_difference(a, drawn(run, 300, 0.25), standard(), 60);
    const auto other = frechet_difference(a, drawn(run + 1000, 300, 0.25), standard(), 60);
    EXPECT_NEAR(
        same.value,
        frechet_distance(gaussian_of(a), standard()) - frechet_distance(gaussian_of(drawn(run, 300, 0.25)), standard()),
        1e-9);
    holds += same.low <= truth && truth <= same.high ? 1 : 0;
    paired += same.high - same.low;
    strangers += other.high - other.low;
  }
  EXPECT_GE(holds, 34);
  EXPECT_LT(paired, 0.4 * strangers);
  EXPECT_EQ(frechet_difference(drawn(0, 50), drawn(0, 50), standard(), 10).high, 0);
  EXPECT_THROW(frechet_difference(drawn(0, 50), drawn(0, 51), standard()), Error);
}

TEST(FrechetBias, IsWhatFewImagesAddAndDiffersByWhatIsDrawn) {
  // N(0, r^2) is kWidth (1 - r)^2 away from the standard one: 1.4 and 0.6 as far. Of 60 images the wider looks farther.
  double plain = 0, corrected = 0, far = 0;
  constexpr int kRuns = 200;
  for (uint64_t run = 0; run < kRuns; ++run) {
    const auto wide = drawn(run, 60, 0) * 1.4, narrow = drawn(run, 60, 0) * 0.6;
    const double a = frechet_distance(gaussian_of(wide), standard()),
                 b = frechet_distance(gaussian_of(narrow), standard());
    plain += (a - b) / kRuns;
    corrected += (a - frechet_bias(wide, standard()) - b + frechet_bias(narrow, standard())) / kRuns;
    far += (a - frechet_bias(wide, standard())) / kRuns;
  }
  EXPECT_GT(plain, 0.2) << "tests nothing";
  EXPECT_LT(std::abs(corrected), plain / 5);
  EXPECT_NEAR(far, kWidth * 0.4 * 0.4, 0.06);
  EXPECT_THROW(frechet_bias(drawn(0, 15), standard()), Error);
}

TEST(FrechetBias, OfRowsInEvenTurnsIsThatOfEachTurnsOwnSpread) {
  // Rows at +3 and -3 of the first axis in turn, N(0, 1) about them: as often here as there, so that the mean varies by
  // 1 / N and not by 10 / N. Resampling, which does not know the turns, would take off ten times as much.
  double bias = 0, truth = 0;
  Gaussian both = standard();
  both.sigma[0][0] = 10;
  constexpr int kRuns = 200;
  for (uint64_t run = 0; run < kRuns; ++run) {
    auto rows = drawn(run, 64, 0);
    rows.select(1, 0).add_(at::arange(64).remainder(2).mul(6).sub(3));
    bias += frechet_bias(rows, both) / kRuns;
    truth += frechet_distance(gaussian_of(rows), both) / kRuns;  // of infinitely many it is 0
  }
  EXPECT_NEAR(bias / truth, 1, 0.25);
}

TEST(FrechetInterval, OfFewerRowsThanFeaturesIsTheSame) {
  // The same rows with features beside them that are 0 on both sides: nothing changes but the way, and what square
  // roots make of eigenvalues that are rounding.
  const auto rows = drawn(3, 40, 0.2);
  auto reference = standard();
  const auto near = frechet_interval(rows, reference, 30);
  reference.mu = at::cat({reference.mu, at::zeros({50}, at::kDouble)});
  reference.sigma = at::constant_pad_nd(reference.sigma, {0, 50, 0, 50});
  const auto wide = frechet_interval(at::constant_pad_nd(rows, {0, 50}), reference, 30);
  EXPECT_NEAR(wide.value, near.value, 1e-6);
  EXPECT_NEAR(wide.low, near.low, 1e-6);
  EXPECT_NEAR(wide.high, near.high, 1e-6);
  EXPECT_NEAR(frechet_bias(at::constant_pad_nd(rows, {0, 50}), reference), frechet_bias(rows, standard()), 1e-6);
  EXPECT_THROW(frechet_interval(rows, reference, 30), Error) << "of another number of features";
}

TEST(FrechetInterval, RefusesWhatGivesNone) {
  EXPECT_THROW(frechet_interval(drawn(1, 1), standard()), Error);
  EXPECT_THROW(frechet_interval(drawn(1, 9), standard(), 1), Error);
  EXPECT_THROW(frechet_interval(drawn(1, 9), standard(), 10, 1.0), Error);
}

}  // namespace sdg::metrics
