#include "sdg/metrics/features.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/metrics/feature_collector.h"
#include "sdg/metrics/gaussian.h"
#include "support/thread_reducer.h"

namespace sdg::metrics {
namespace {

// Mean and largest value of each image.
Tensor two_features(const Tensor& images) {
  const auto flat = images.to(at::kFloat).flatten(1);
  return at::stack({flat.mean(1), flat.amax(1)}, 1);
}

Tensor made(int64_t key, int64_t height, int64_t width) {
  return (rng::uniform({3, rng::Purpose::kTest, 0}, {key}, {1, height, width})[0] * 256).to(at::kByte);
}

Tensor drawn(int64_t n, int64_t width) {
  return rng::normal({5, rng::Purpose::kTest, 1}, rng::consecutive(0, n), {width});
}

Tensor kept(const Tensor& rows, int64_t most, int64_t batch, uint64_t seed = 0) {
  FeatureCollector collector(most, seed);
  for (const auto& part : rows.split(batch)) collector.add(part);
  EXPECT_EQ(collector.seen(), rows.size(0));
  return collector.features();
}

}  // namespace

TEST(ForEachFeatures, EverySinkGetsEveryImageInOrderWhateverTheSizes) {
  std::vector<Tensor> images;
  for (int64_t i = 0; i < 9; ++i) images.push_back(made(i, i % 3 == 0 ? 5 : 4, 4));
  int64_t calls = 0;
  const auto counted = [&](const Tensor& batch) {
    ++calls;
    return two_features(batch);
  };
  const auto feed = [&](const auto& take) {
    take({images.begin(), images.begin() + 6});
    take({});
    take({images.begin() + 6, images.end()});
  };
  FeatureCollector all(100);
  GaussianAccumulator sums(2);
  const auto fed = for_each_features(feed, counted, {&all, &sums});
  EXPECT_EQ(fed.images, 9);
  EXPECT_EQ(fed.size, "mixed");
  EXPECT_EQ(calls, 4) << "two sizes in each of two pieces";
  std::vector<Tensor> expected;
  for (const auto& image : images) expected.push_back(two_features(image.unsqueeze(0)));
  EXPECT_TRUE(at::equal(all.features(), at::cat(expected)));
  EXPECT_TRUE(at::allclose(sums.result().mu, at::cat(expected).to(at::kDouble).mean(0)));
}

TEST(ForEachFeatures, SaysTheOneSizeOfAllImages) {
  const auto fed = for_each_features([](const auto& take) { take({made(0, 3, 7)}); }, two_features, {});
  EXPECT_EQ(fed.size, "3x7");
  EXPECT_EQ(for_each_features([](const auto&) {}, two_features, {}).images, 0);
}

// Seven pieces of several sizes, one of them empty: rounds that are full, and a last one that is not.
TEST(ForEachFeatures, OverRanksEachLooksAtItsPiecesAndTheFirstGetsTheBitsOfOneRank) {
  const auto feed = [](const auto& take) {
    for (int64_t piece = 0; piece < 7; ++piece) {
      std::vector<Tensor> images;
      for (int64_t i = 0; i < (piece == 4 ? 0 : 2 + piece % 3); ++i)
        images.push_back(made(10 * piece + i, piece == 2 && i == 0 ? 5 : 4, 6));
      take(images);
    }
  };
  FeatureCollector expected(100);
  GaussianAccumulator expected_sums(2);
  const auto one = for_each_features(feed, two_features, {&expected, &expected_sums});
  for (const int64_t ranks : {2, 3, 4, 8}) {
    test::on_ranks(ranks, [&](Reducer& reducer) {
      int64_t looked = 0;
      const auto counted = [&](const Tensor& images) {
        looked += images.size(0);
        return two_features(images);
      };
      FeatureCollector all(100);
      GaussianAccumulator sums(2);
      const auto fed = for_each_features(feed, counted, {&all, &sums}, reducer);
      EXPECT_EQ(fed.images, one.images);
      EXPECT_EQ(fed.size, "mixed");
      EXPECT_LT(looked, one.images);
      EXPECT_EQ(reducer.sum(looked), one.images) << "each image once";
      if (reducer.rank() > 0) {
        EXPECT_EQ(all.seen(), 0);
        return;
      }
      EXPECT_TRUE(at::equal(all.features(), expected.features())) << ranks;
      EXPECT_TRUE(at::equal(sums.result().sigma, expected_sums.result().sigma)) << ranks;
    });
  }
}

TEST(FeatureCollector, KeepsAllInOrderWhileThereIsRoom) {
  const auto rows = drawn(50, 3);
  EXPECT_TRUE(at::equal(kept(rows, 50, 7), rows));
  EXPECT_TRUE(at::equal(kept(rows, 1000, 50), rows));
}

TEST(FeatureCollector, OfMoreKeepsASampleThatBatchingDoesNotChange) {
  const auto rows = drawn(500, 2);
  const auto one = kept(rows, 40, 1);
  EXPECT_EQ(one.size(0), 40);
  for (const int64_t batch : {7, 64, 500}) EXPECT_TRUE(at::equal(kept(rows, 40, batch), one)) << batch;
  EXPECT_FALSE(at::equal(kept(rows, 40, 7, 1), one));
}

TEST(FeatureCollector, EveryPlaceIsKeptEquallyOften) {
  constexpr int64_t kRows = 60, kMost = 15, kSeeds = 2000;
  auto counts = at::zeros({kRows}, at::kLong);
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto places = kept(at::arange(kRows).to(at::kFloat).unsqueeze(1), kMost, kRows, seed).to(at::kLong).flatten();
    EXPECT_TRUE((places.slice(0, 1) > places.slice(0, 0, -1)).all().item<bool>()) << "in order, each once";
    counts.index_add_(0, places, at::ones_like(places));
  }
  // 500 each, with a deviation of sqrt(2000 * 1/4 * 3/4) = 19.
  EXPECT_LT((counts - kSeeds * kMost / kRows).abs().max().item<int64_t>(), 5 * 19);
}

TEST(FeatureCollector, RefusesWhatCannotBeCompared) {
  FeatureCollector collector(4);
  EXPECT_THROW(collector.features(), Error);
  collector.add(drawn(2, 3));
  EXPECT_THROW(collector.add(drawn(2, 4)), Error);
  EXPECT_THROW(collector.add(at::full({1, 3}, NAN)), Error);
  EXPECT_THROW(FeatureCollector(0), Error);
}

}  // namespace sdg::metrics
