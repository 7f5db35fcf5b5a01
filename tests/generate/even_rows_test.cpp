#include "sdg/generate/even_rows.h"

#include <gtest/gtest.h>
#include <torch/types.h>

using namespace sdg;

TEST(EvenRows, AreInAnyStretchAsFrequentAsThePrior) {
  const auto prior = at::tensor({0.1F, 0.0F, 0.25F, 0.35F, 0.3F, 0.0F});
  const auto rows = generate::even_rows(prior, {}, 4096);
  for (const int64_t length : {16, 96, 1000}) {
    for (int64_t first = 0; first + length <= rows.size(0); first += 333) {
      const auto counts = at::bincount(rows.slice(0, first, first + length), {}, 6).to(at::kFloat);
      // Drawn one by one they would be off by sqrt(n p (1 - p)), 14 of 1,000, and often by twice that.
      EXPECT_LT((counts - prior * length).abs().max().item<float>(), 3) << length << " images from " << first;
      EXPECT_EQ(counts[1].item<float>() + counts[5].item<float>(), 0) << "of no frequency";
    }
  }
}

TEST(EvenRows, FollowPriorAndTemperatureOfTheOptions) {
  const auto prior = at::tensor({0.1F, 0.0F, 0.9F});
  sample::SampleOptions options;
  const auto shares = [&] {
    return at::bincount(generate::even_rows(prior, options, 10000), {}, 3).to(at::kFloat) / 10000;
  };
  EXPECT_LT((shares() - prior).abs().max().item<float>(), 1e-3);
  options.prior_temperature = 2;  // 0.1^(1/2) : 0.9^(1/2) = 1 : 3
  EXPECT_LT((shares() - at::tensor({0.25F, 0.0F, 0.75F})).abs().max().item<float>(), 1e-3);
  options.prior = sample::Prior::kUniform;
  EXPECT_LT((shares() - at::tensor({0.5F, 0.0F, 0.5F})).abs().max().item<float>(), 1e-3);
}
