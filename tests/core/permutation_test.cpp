#include "sdg/core/permutation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "sdg/core/error.h"

using namespace sdg;

namespace {

rng::Stream stream(uint64_t seed, uint64_t epoch = 0) {
  return {seed, rng::Purpose::kOrder, epoch};
}

std::vector<int64_t> order(const rng::Permutation& permutation) {
  std::vector<int64_t> out(static_cast<size_t>(permutation.size()));
  for (int64_t i = 0; i < permutation.size(); ++i) out[static_cast<size_t>(i)] = permutation(i);
  return out;
}

// Values of a chi-square statistic of `degrees` are above this once in a million (Wilson & Hilferty 1931).
double chi_square_bound(double degrees) {
  const double part = 2 / (9 * degrees);
  return degrees * std::pow(1 - part + 4.7534 * std::sqrt(part), 3);
}

double chi_square(const std::vector<int64_t>& counts, double expected) {
  double sum = 0;
  for (const auto count : counts) sum += std::pow(static_cast<double>(count) - expected, 2) / expected;
  return sum;
}

}  // namespace

TEST(Permutation, TakesEveryValueOnceWhateverTheSize) {
  std::vector<int64_t> sizes{1,     2,     3,     4,     5,     6,      7,      97,     100,
                             255,   256,   257,   1023,  1024,  1025,   1797,   4096,   10007,
                             65521, 65535, 65536, 65537, 99991, 131071, 131072, 131073, 1000003};
  for (int64_t n = 8; n < 80; ++n) sizes.push_back(n);
  for (const auto n : sizes) {
    for (const uint64_t seed : {0, 1}) {
      auto values = order(rng::Permutation(stream(seed), n));
      std::sort(values.begin(), values.end());
      std::vector<int64_t> all(values.size());
      std::iota(all.begin(), all.end(), 0);
      ASSERT_EQ(values, all) << n << " of seed " << seed;
    }
  }
}

TEST(Permutation, OtherSeedsAndEpochsGiveOtherOrders) {
  std::set<std::vector<int64_t>> seen;
  for (uint64_t seed = 0; seed < 10; ++seed)
    for (uint64_t epoch = 0; epoch < 10; ++epoch) seen.insert(order(rng::Permutation(stream(seed, epoch), 1000)));
  EXPECT_EQ(seen.size(), 100U);
  EXPECT_EQ(order(rng::Permutation(stream(3, 4), 1000)), order(rng::Permutation(stream(3, 4), 1000)));
}

TEST(Permutation, TheFirstPlacesShowEveryImageEquallyOften) {
  constexpr int64_t kSize = 100, kSeeds = 20000;
  for (const int64_t place : {0, 1, 50, 99}) {
    std::vector<int64_t> counts(kSize, 0);
    for (int64_t seed = 0; seed < kSeeds; ++seed)
      ++counts[static_cast<size_t>(rng::Permutation(stream(static_cast<uint64_t>(seed)), kSize)(place))];
    EXPECT_LT(chi_square(counts, static_cast<double>(kSeeds) / kSize), chi_square_bound(kSize - 1)) << place;
  }
}

TEST(Permutation, PairsOfPlacesAreIndependent) {
  constexpr int64_t kSize = 23, kSeeds = 60000;
  std::vector<int64_t> counts(kSize * kSize, 0);
  for (int64_t seed = 0; seed < kSeeds; ++seed) {
    const rng::Permutation permutation(stream(static_cast<uint64_t>(seed)), kSize);
    ++counts[static_cast<size_t>(permutation(3) * kSize + permutation(4))];
  }
  std::vector<int64_t> possible;  // neighbours never show the same image
  for (int64_t a = 0; a < kSize; ++a)
    for (int64_t b = 0; b < kSize; ++b) {
      const auto count = counts[static_cast<size_t>(a * kSize + b)];
      if (a == b) {
        EXPECT_EQ(count, 0);
      } else {
        possible.push_back(count);
      }
    }
  const double pairs = kSize * (kSize - 1);
  EXPECT_LT(chi_square(possible, kSeeds / pairs), chi_square_bound(pairs - 1));
}

// |p(i) - i| of a uniform permutation has mean (n^2 - 1) / (3 n).
TEST(Permutation, ImagesMoveAsFarAsInAUniformOrder) {
  for (const int64_t n : {65537, 1000003}) {
    const auto values = order(rng::Permutation(stream(7), n));
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += std::abs(static_cast<double>(values[static_cast<size_t>(i)] - i));
    const double size = static_cast<double>(n), wanted = (size * size - 1) / (3 * size);
    // One displacement has a deviation of n / sqrt(18).
    EXPECT_NEAR(sum / size, wanted, 5 * size / std::sqrt(18 * size)) << n;
  }
}

// Steps from place to place: 64 equal bins of (p(i + lag) - p(i)) mod n, at lags where a lattice of the digits' own
// widths would show.
TEST(Permutation, NeighboursShowNoLattice) {
  constexpr int64_t kSize = 65537, kBins = 64;
  const auto values = order(rng::Permutation(stream(5), kSize));
  for (const int64_t lag : {1, 2, 16, 255, 256, 257, 512, 32768}) {
    std::vector<int64_t> counts(kBins, 0);
    for (int64_t i = 0; i < kSize; ++i) {
      const auto step =
          (values[static_cast<size_t>((i + lag) % kSize)] - values[static_cast<size_t>(i)] + kSize) % kSize;
      ++counts[static_cast<size_t>(step * kBins / kSize)];
    }
    EXPECT_LT(chi_square(counts, static_cast<double>(kSize) / kBins), chi_square_bound(kBins - 1)) << lag;
  }
}

TEST(Permutation, OneOfAQuintillionIsFoundWithoutATable) {
  const rng::Permutation huge(stream(1), int64_t{1} << 60);
  std::set<int64_t> seen;
  for (int64_t i = 0; i < 1000; ++i) {
    const auto value = huge((int64_t{1} << 60) - 1 - i * i);
    EXPECT_GE(value, 0);
    EXPECT_LT(value, int64_t{1} << 60);
    seen.insert(value);
  }
  EXPECT_EQ(seen.size(), 1000U);
}

TEST(Permutation, SaysWhatIsOutside) {
  EXPECT_THROW(rng::Permutation(stream(1), 0), Error);
  const rng::Permutation ten(stream(1), 10);
  EXPECT_THROW(ten(10), Error);
  EXPECT_THROW(ten(-1), Error);
}
