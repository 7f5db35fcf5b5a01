#include "sdg/metrics/statistics.h"

#include <gtest/gtest.h>

#include "sdg/core/rng.h"
#include "support/thread_reducer.h"

using namespace sdg;

namespace {
// The mean of each channel.
class Means : public vision::FeatureExtractor {
 public:
  std::string name() const override { return "means"; }
  std::string metric_name() const override { return "FD-means"; }
  int64_t dim() const override { return 3; }
  std::string weights_digest() const override { return "none"; }
  Tensor features(const Tensor& images) override { return images.to(at::kFloat).mean({2, 3}); }
};

Tensor images(int64_t count, int64_t side) {
  return (rng::uniform({2}, rng::consecutive(0, count), {3, side, side}) * 255).to(at::kByte);
}
}  // namespace

TEST(Statistics, OverRanksAreOfAllImagesAndKnowTheirSizes) {
  Means means;
  const auto all = images(12, 5);
  metrics::Statistics one(means);
  one.add(all);
  const auto expected = one.result();
  EXPECT_EQ(expected.size, "5x5");
  test::on_divisions(12, [&](Reducer& reducer, const auto& division) {
    metrics::Statistics own(means);
    own.add(test::share(all, division, reducer));
    const auto got = own.result(reducer);
    EXPECT_EQ(got.size, "5x5") << "a rank without images has no size";
    EXPECT_EQ(got.extractor, "means");
    EXPECT_EQ(got.count, 12);
    EXPECT_LE((got.sigma - expected.sigma).abs().max().template item<double>(), 1e-10);
  });
  test::on_ranks(2, [&](Reducer& reducer) {
    metrics::Statistics own(means);
    own.add(images(3, 4 + reducer.rank()));
    EXPECT_EQ(own.result(reducer).size, "mixed");
  });
}
