// Draws by vectors against their scalar twins: the same bits.
#include "core/philox_rows.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "core/rng_key_impl.h"
#include "sdg/core/parallel.h"

using namespace sdg;

namespace {

const rng::Stream kStream{11, rng::Purpose::kTest, 5};

// The formula of Box and Muller as it is written down, one word after the other.
float twin(const std::array<uint32_t, 2>& key, uint64_t sample, int64_t i) {
  const auto index = static_cast<uint64_t>(i / 4);
  const auto words = rng::philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                                  static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32)},
                                 key);
  const auto place = static_cast<size_t>(i % 4 / 2 * 2);
  const double u = (static_cast<double>(words[place]) + 0.5) * 0x1p-32;
  const double v = (static_cast<double>(words[place + 1]) + 0.5) * 0x1p-32;
  const double radius = std::sqrt(-2.0 * std::log(u)), angle = 2.0 * std::numbers::pi * v;
  return static_cast<float>(radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle)));
}

std::vector<rng::Vectors> ways() {
  std::vector<rng::Vectors> out;
  for (auto way : {rng::Vectors::kPlain, rng::Vectors::kAvx2, rng::Vectors::kAvx512}) {
    if (way <= rng::widest_vectors()) out.push_back(way);
  }
  return out;
}

// Of `rows` rows of 4,096 draws those whose bits differ.
int64_t different(rng::Vectors way, uint64_t first, int64_t rows) {
  constexpr int64_t kCount = 4096;
  const auto key = rng::key_of(kStream);
  std::vector<float> row(kCount);
  int64_t out = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const uint64_t sample = first + static_cast<uint64_t>(i);
    rng::fill_normal(key, sample, row.data(), kCount, way);
    for (int64_t block = 0; block < kCount / 4; ++block) {
      const auto words = rng::words_of(key, sample, static_cast<uint64_t>(block));
      for (size_t pair = 0; pair < 2; ++pair) {
        const auto expected = rng::normal_pair(words[2 * pair], words[2 * pair + 1]);
        // To the bit, of -0 too. NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
        out += std::memcmp(expected.data(), row.data() + 4 * block + 2 * static_cast<int64_t>(pair), sizeof expected)
                   ? 1
                   : 0;
      }
    }
  }
  return out;
}

}  // namespace

TEST(PhiloxRows, OfAnyLengthHaveTheBitsOfTheFormula) {
  const auto key = rng::key_of(kStream);
  for (const auto way : ways()) {
    for (const int64_t count : {1, 2, 3, 4, 5, 63, 64, 511, 512, 513, 3072, 5001}) {
      for (const uint64_t sample : {uint64_t{0}, uint64_t{7}, uint64_t{1} << 40}) {
        std::vector<float> row(static_cast<size_t>(count) + 1, 99);
        rng::fill_normal(key, sample, row.data(), count, way);
        for (int64_t i = 0; i < count; ++i)
          ASSERT_EQ(row[static_cast<size_t>(i)], twin(key, sample, i)) << count << " " << sample << " " << i;
        EXPECT_EQ(row.back(), 99) << "wrote past the row";
        rng::fill_uniform(key, sample, row.data(), count, way);
        for (int64_t i = 0; i < count; ++i) {
          const auto words = rng::words_of(key, sample, static_cast<uint64_t>(i / 4));
          ASSERT_EQ(row[static_cast<size_t>(i)], static_cast<float>(words[static_cast<size_t>(i % 4)] >> 8) / 16777216);
        }
        EXPECT_EQ(row.back(), 99);
      }
    }
  }
}

TEST(PhiloxRows, EightMillionNormalsHaveTheBitsOfTheFormula) {
  for (const auto way : ways()) EXPECT_EQ(different(way, 0, 2048), 0) << static_cast<int>(way);
}

// A minute; the middles between two floats are met about once in a million, so the shorter test meets them too.
TEST(PhiloxRows, DISABLED_FourHundredMillionNormalsHaveTheBitsOfTheFormula) {
  for (const auto way : ways()) EXPECT_EQ(different(way, 1 << 20, 100000), 0) << static_cast<int>(way);
}

// Extremes of the formula: words that lie next to its poles and zeros.
TEST(PhiloxRows, ThePairOfExtremeWordsIsFinite) {
  for (const uint32_t radius : {0U, 1U, 0x7FFFFFFFU, 0x80000000U, ~0U}) {
    for (const uint32_t angle : {0U, 0x3FFFFFFFU, 0x40000000U, 0x7FFFFFFFU, 0x80000000U, 0xBFFFFFFFU, ~0U}) {
      const auto pair = rng::normal_pair(radius, angle);
      EXPECT_TRUE(std::isfinite(pair[0]) && std::isfinite(pair[1])) << radius << " " << angle;
    }
  }
}

// Prints milliseconds, before and after.
TEST(PhiloxRows, DISABLED_TimeOfTheNoiseOfALargeBatch) {
  constexpr int64_t kRows = 1024, kCount = 4 * 32 * 32;
  const auto key = rng::key_of(kStream);
  std::vector<float> out(kRows * kCount);
  const auto best = [&](const auto& work) {
    double least = 1e9;
    for (int round = 0; round < 10; ++round) {
      const auto start = std::chrono::steady_clock::now();
      work();
      least =
          std::min(least, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    return least;
  };
  const double before = best([&] {
    for (int64_t i = 0; i < kRows * kCount; i += 2) {
      const auto words = rng::words_of(key, static_cast<uint64_t>(i / kCount), static_cast<uint64_t>(i % kCount / 4));
      const auto pair = rng::normal_pair(words[static_cast<size_t>(i % 4)], words[static_cast<size_t>(i % 4) + 1]);
      out[static_cast<size_t>(i)] = pair[0];
      out[static_cast<size_t>(i) + 1] = pair[1];
    }
  });
  std::printf("scalar %.1f ms\n", before);
  for (const auto way : ways()) {
    const double after = best([&] {
      for (int64_t i = 0; i < kRows; ++i)
        rng::fill_normal(key, static_cast<uint64_t>(i), out.data() + i * kCount, kCount, way);
    });
    std::printf("vectors %d: %.1f ms\n", static_cast<int>(way), after);
  }
  const auto samples = rng::consecutive(0, kRows);
  std::printf("rng::normal: %.1f ms\n", best([&] { rng::normal(kStream, samples, {4, 32, 32}); }));
}
