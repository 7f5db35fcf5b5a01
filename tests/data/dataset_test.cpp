#include "sdg/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/made_images.h"
#include "sdg/data/crop.h"
#include "support/log_capture.h"

using namespace sdg;
using test::LogCapture;
using test::made_image;
using test::made_options;
using test::MadeSource;
using test::message_of;
using ::testing::HasSubstr;

TEST(Dataset, GivesTheCropOfTheStoredImage) {
  const data::Dataset dataset(std::make_shared<MadeSource>(5, std::set<int64_t>{}, 3), made_options(6, 3));
  EXPECT_EQ(dataset.size(), 5);
  EXPECT_EQ(dataset.channels(), 3);
  EXPECT_EQ(dataset.image_size(), 6);
  const auto images = dataset.images({4, 0, 4});
  EXPECT_TRUE(at::equal(images[0], data::adm_center_crop(made_image(4, 3), 6)));
  EXPECT_TRUE(at::equal(images[1], data::adm_center_crop(made_image(0, 3), 6)));
  EXPECT_TRUE(at::equal(images[2], dataset.image(4))) << "the second time it comes from the cache";
}

TEST(Dataset, ConvertsBetweenGreyAndColour) {
  const data::Dataset grey(std::make_shared<MadeSource>(2, std::set<int64_t>{}, 3), made_options(8, 1));
  EXPECT_TRUE(at::equal(grey.image(1), data::to_channels(made_image(1, 3), 1)));
  const data::Dataset colour(std::make_shared<MadeSource>(2), made_options(8, 3));
  EXPECT_TRUE(at::equal(colour.image(1), made_image(1).expand({3, 8, 8})));
}

TEST(Dataset, ABrokenImageIsNamedCountedOnceAndReplacedByTheNextGoodOne) {
  const LogCapture log;
  const data::Dataset dataset(std::make_shared<MadeSource>(6, std::set<int64_t>{2, 3, 5}), made_options());
  for (int64_t again = 0; again < 2; ++again) {
    EXPECT_TRUE(at::equal(dataset.image(2), made_image(4)));
    EXPECT_TRUE(at::equal(dataset.image(3), made_image(4)));
    EXPECT_TRUE(at::equal(dataset.image(5), made_image(0))) << "after the last comes the first";
    EXPECT_TRUE(at::equal(dataset.image(1), made_image(1)));
  }
  EXPECT_EQ(dataset.broken(), 3);
  ASSERT_EQ(log.lines.size(), 3U);
  EXPECT_EQ(log.lines[0], "data: broken image skipped (1 of 6): made-2: cut short");
}

TEST(Dataset, SaysWhoseImageStandsForABrokenOne) {
  for (const int64_t cache_mb : {0, 1}) {
    auto options = made_options();
    options.cache_mb = cache_mb;
    const auto source = std::make_shared<MadeSource>(6, std::set<int64_t>{2, 3, 5});
    const data::Dataset dataset(source, options);
    EXPECT_EQ(dataset.shown({0, 1, 2, 3, 4, 5}), (std::vector<int64_t>{0, 1, 4, 4, 4, 0}));
    const auto reads = source->reads.load();
    EXPECT_EQ(dataset.shown(3), 4) << "before anybody asked for the pixels";
    EXPECT_EQ(source->reads, reads) << "what was read is known";
    std::vector<uint8_t> pixels(64);
    EXPECT_EQ(dataset.samples().read_pixels(3, pixels.data()), 4);
    EXPECT_TRUE(at::equal(at::tensor(pixels, at::kByte).view({1, 8, 8}), made_image(4)));
  }
}

TEST(Dataset, MoreBrokenImagesThanAllowedStopWithTheCountsAndTheFirstName) {
  const data::Dataset dataset(std::make_shared<MadeSource>(10, std::set<int64_t>{2, 7}), made_options(8, 1, 0.1));
  EXPECT_TRUE(at::equal(dataset.image(2), made_image(3))) << "a tenth is allowed";
  const auto message = message_of<Error>([&] { dataset.image(7); });
  EXPECT_THAT(message, HasSubstr("2 of 10 images are broken"));
  EXPECT_THAT(message, HasSubstr("data.max_broken allows 0.1"));
  EXPECT_THAT(message, HasSubstr("the first is made-2"));
  EXPECT_EQ(message_of<Error>([&] { dataset.image(2); }), message) << "and every read of a broken one after that";
}

TEST(Dataset, WithoutToleranceTheFirstBrokenImageStops) {
  const data::Dataset dataset(std::make_shared<MadeSource>(10, std::set<int64_t>{2}), made_options(8, 1, 0));
  EXPECT_THAT(message_of<Error>([&] { dataset.image(2); }), HasSubstr("1 of 10 images are broken"));
}

TEST(Dataset, AllBrokenIsAnErrorWhateverIsAllowed) {
  const data::Dataset dataset(std::make_shared<MadeSource>(3, std::set<int64_t>{0, 1, 2}), made_options(8, 1, 1));
  EXPECT_THAT(message_of<Error>([&] { dataset.image(1); }), HasSubstr("all 3 images are broken; the first is made-1"));
}

TEST(Dataset, WhatIsCachedIsReadOnce) {
  const auto source = std::make_shared<MadeSource>(4);
  const data::Dataset dataset(source, made_options());
  for (int64_t epoch = 0; epoch < 3; ++epoch) dataset.images({0, 1, 2, 3});
  EXPECT_EQ(source->reads, 4);
}

TEST(Dataset, TheCacheKeepsToItsLimit) {
  const auto source = std::make_shared<MadeSource>(4);
  auto options = made_options(512, 3);  // 3/4 MiB an image
  options.cache_mb = 1;
  const data::Dataset dataset(source, options);
  EXPECT_EQ(dataset.samples().cache_capacity(), 1);
  const auto first = dataset.images({0, 1, 2, 3});
  EXPECT_TRUE(at::equal(dataset.images({0, 1, 2, 3}), first));
  EXPECT_EQ(source->reads, 4 + 3);

  options.cache_mb = 0;
  const data::Dataset uncached(std::make_shared<MadeSource>(4), options);
  EXPECT_EQ(uncached.samples().cache_capacity(), 0);
  EXPECT_TRUE(at::equal(uncached.image(2), first[2]));
}

TEST(Dataset, SaysWhatIsWrong) {
  const auto source = std::make_shared<MadeSource>(4);
  EXPECT_THAT(message_of<Error>([] { data::Dataset(std::make_shared<MadeSource>(0), made_options()); }),
              HasSubstr("no images"));
  EXPECT_THAT(message_of<UsageError>([&] { data::Dataset(source, made_options(8, 2)); }), HasSubstr("data.channels"));
  EXPECT_THAT(message_of<UsageError>([&] { data::Dataset(source, made_options(0)); }), HasSubstr("data.size"));
  const data::Dataset dataset(source, made_options());
  EXPECT_THAT(message_of<Error>([&] { dataset.image(4); }), HasSubstr("[0, 4), got 4"));
}
