// Draws by tensor operations, as on a device, against the CPU's.
#include "core/philox_device.h"

#include <gtest/gtest.h>

#include "core/philox_rows.h"
#include "core/rng_key_impl.h"

using namespace sdg;

namespace {
const rng::Stream kStream{23, rng::Purpose::kNoise, 9};
const std::vector<int64_t> kSamples{0, 5, 1000000007, (int64_t{1} << 40) + 3, 6};
}  // namespace

TEST(PhiloxByTensors, WordsAreThoseOfPhilox) {
  const auto words = rng::words_by_tensors(kStream, at::tensor(kSamples, at::kLong), 999);
  const auto key = rng::key_of(kStream);
  ASSERT_EQ(words.sizes(), (at::IntArrayRef{5, 999}));
  const auto of = words.accessor<int64_t, 2>();
  for (int64_t i = 0; i < 5; ++i) {
    for (int64_t j = 0; j < 999; ++j) {
      const auto expected = rng::words_of(key, static_cast<uint64_t>(kSamples[static_cast<size_t>(i)]),
                                          static_cast<uint64_t>(j / 4))[static_cast<size_t>(j % 4)];
      ASSERT_EQ(of[i][j], static_cast<int64_t>(expected)) << i << " " << j;
    }
  }
}

TEST(PhiloxByTensors, UniformsAreTheCpusBitForBitAndNormalsWithinAMillionth) {
  const auto samples = at::tensor(kSamples, at::kLong);
  for (const int64_t count : {1, 2, 3, 7, 4096}) {
    EXPECT_TRUE(at::equal(rng::draw_by_tensors(rng::Draw::kUniform, kStream, samples, count),
                          rng::uniform(kStream, kSamples, {count})))
        << count;
    const auto difference =
        rng::draw_by_tensors(rng::Draw::kNormal, kStream, samples, count) - rng::normal(kStream, kSamples, {count});
    EXPECT_LE(difference.abs().max().item<double>(), 1e-6) << count;
  }
}

TEST(PhiloxByTensors, CountersOfABatchFollowEachOther) {
  const auto device = at::Device("cpu");
  EXPECT_TRUE(at::equal(rng::counters({7, 8, 9}, device), at::tensor({7, 8, 9}, at::kLong)));
  EXPECT_TRUE(at::equal(rng::counters({7, 9, 8}, device), at::tensor({7, 9, 8}, at::kLong)));
  EXPECT_EQ(rng::counters({}, device).numel(), 0);
}

// The meta device holds no numbers: what would read one from there throws.
TEST(PhiloxByTensors, NothingIsReadBackFromTheDevice) {
  const auto noise = rng::normal(kStream, kSamples, {3, 4}, at::Device("meta"));
  EXPECT_EQ(noise.sizes(), (at::IntArrayRef{5, 3, 4}));
  EXPECT_TRUE(noise.is_meta());
  EXPECT_EQ(rng::uniform(kStream, {4, 5}, {}, at::Device("meta")).sizes(), (at::IntArrayRef{2}));
  EXPECT_TRUE(at::equal(rng::normal(kStream, kSamples, {3}, at::Device("cpu")), rng::normal(kStream, kSamples, {3})));
}
