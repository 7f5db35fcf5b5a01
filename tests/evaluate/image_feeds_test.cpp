#include "sdg/evaluate/image_feeds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/made_images.h"
#include "sdg/data/crop.h"
#include "sdg/evaluate/measure.h"
#include "sdg/metrics/feature_collector.h"
#include "sdg/tensors/npz.h"
#include "support/log_capture.h"
#include "support/thread_reducer.h"

using namespace sdg;
using test::made_image;
using test::MadeSource;
using test::message_of;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

// Mean and largest value of each image, under a name.
class TwoFeatures : public vision::FeatureExtractor {
 public:
  std::string name() const override { return "two"; }
  std::string metric_name() const override { return "FD-two"; }
  std::string input() const override { return "as it is"; }
  int64_t width(vision::Layer layer) const override { return layer == vision::Layer::kPooled ? 2 : 0; }
  std::string weights_digest() const override { return "none"; }
  Tensor layers(const Tensor& images, const std::vector<vision::Layer>&) override {
    const auto flat = images.to(at::kFloat).flatten(1);
    return at::stack({flat.mean(1), flat.amax(1)}, 1);
  }
};

std::vector<Tensor> all_of(const metrics::ImageFeed& feed) {
  std::vector<Tensor> out;
  feed([&](const std::vector<Tensor>& piece) { out.insert(out.end(), piece.begin(), piece.end()); });
  return out;
}

}  // namespace

TEST(ImageFeeds, ADataSetLeavesBrokenImagesOut) {
  const test::LogCapture log;
  const data::Dataset dataset(std::make_shared<MadeSource>(300, std::set<int64_t>{3, 299}), test::made_options());
  const auto images = all_of(evaluate::dataset_feed(dataset, 0));
  ASSERT_EQ(images.size(), 298U);
  EXPECT_TRUE(at::equal(images[3], made_image(4)));
  int64_t reported = 0;
  const auto some = all_of(evaluate::dataset_feed(dataset, 40, [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 40);
    reported = done;
  }));
  EXPECT_GE(some.size(), 38U);
  EXPECT_EQ(reported, 40);
}

TEST(ImageFeeds, EveryImageOfASourceIsReadOnce) {
  const MadeSource source(150, {}, 3);
  const auto images = all_of(evaluate::source_feed(source, {}));
  ASSERT_EQ(images.size(), 150U);
  for (int64_t i = 0; i < 150; ++i) EXPECT_TRUE(at::equal(images[static_cast<size_t>(i)], made_image(i, 3))) << i;
  EXPECT_EQ(source.reads, 150);
  const auto small = all_of(evaluate::source_feed(source, {.limit = 7, .size = 4}));
  ASSERT_EQ(small.size(), 7U);
  EXPECT_EQ(small[0].sizes(), at::IntArrayRef({3, 4, 4}));
}

TEST(ImageFeeds, ABrokenImageOfASourceIsNamed) {
  for (const int64_t broken : {0, 5}) {
    const MadeSource source(9, {broken});
    const auto message = message_of<Error>([&] { all_of(evaluate::source_feed(source, {})); });
    EXPECT_THAT(message, HasSubstr(cat("cannot measure made-", broken, ": cut short")));
    EXPECT_THAT(message, Not(HasSubstr("cannot be read")));
  }
  const MadeSource several(400, {5, 130, 399});
  const auto message = message_of<Error>([&] { all_of(evaluate::source_feed(several, {})); });
  EXPECT_THAT(message, HasSubstr("cannot measure made-5: cut short"));
  EXPECT_THAT(message, HasSubstr("(3 of 400 images cannot be read: made-5, made-130, made-399)"));
}

TEST(ImageFeeds, AnNpzGivesItsRowsAsPlanes) {
  const test::TemporaryFolder folder;
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < 140; ++i) rows.push_back(made_image(i, 3).permute({1, 2, 0}));
  const auto path = (folder / "a.npz").string();
  tensors::write_npz(path, {{"arr_0", at::stack(rows)}});
  const auto images = all_of(evaluate::npz_feed(path, {}));
  ASSERT_EQ(images.size(), 140U);
  EXPECT_TRUE(at::equal(images[139], made_image(139, 3)));
  tensors::write_npz(path, {{"arr_1", at::stack(rows)}});
  EXPECT_THAT(message_of<Error>([&] { evaluate::npz_feed(path, {}); }), HasSubstr("the arrays arr_1"));
}

TEST(ImageFeeds, StatisticsKnowWhereTheyComeFrom) {
  const MadeSource source(40);
  TwoFeatures extractor;
  const auto gaussian = evaluate::gaussian_of(evaluate::source_feed(source, {}), extractor);
  EXPECT_EQ(gaussian.count, 40);
  EXPECT_EQ(gaussian.extractor, "two");
  EXPECT_EQ(gaussian.weights, "none");
  EXPECT_EQ(gaussian.size, "8x8");
  metrics::FeatureCollector rows(100);
  metrics::for_each_features(evaluate::source_feed(source, {}), std::ref(extractor), {&rows});
  EXPECT_TRUE(at::allclose(gaussian.mu, rows.features().to(at::kDouble).mean(0)));
  EXPECT_NO_THROW(evaluate::check_comparable(gaussian, "x", extractor));
}

TEST(ImageFeeds, OverRanksTheFirstGetsTheGaussianOfOne) {
  const MadeSource source(300, {}, 3);
  TwoFeatures extractor;
  const auto one = evaluate::gaussian_of(evaluate::source_feed(source, {}), extractor);
  test::on_ranks(2, [&](Reducer& reducer) {
    TwoFeatures own;
    const MadeSource images(300, {}, 3);
    const auto all = evaluate::gaussian_of(evaluate::source_feed(images, {}), own, reducer);
    EXPECT_EQ(all.mu.defined(), reducer.rank() == 0);
    if (reducer.rank() > 0) return;
    EXPECT_TRUE(at::equal(all.mu, one.mu));
    EXPECT_TRUE(at::equal(all.sigma, one.sigma));
    EXPECT_EQ(all.size, one.size);
  });
}
