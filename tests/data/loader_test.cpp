#include "sdg/data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "data/made_images.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kImages = 10;

struct Stream {
  std::vector<int64_t> index, sample;
  Tensor images;  // float32 [samples, C, S, S]
};

Stream take(data::Loader& loader, int64_t batches) {
  Stream stream;
  std::vector<Tensor> images;
  for (int64_t i = 0; i < batches; ++i) {
    const auto batch = loader.next();
    stream.index.insert(stream.index.end(), batch.index.begin(), batch.index.end());
    stream.sample.insert(stream.sample.end(), batch.sample.begin(), batch.sample.end());
    images.push_back(batch.x);
  }
  stream.images = at::cat(images);
  return stream;
}

// A data set of its own each time, so that no stream profits from the cache of another.
Stream stream_of(const data::LoaderOptions& options, int64_t first_step, int64_t batches) {
  const data::Dataset dataset(std::make_shared<test::MadeSource>(kImages), test::made_options());
  data::Loader loader(dataset, options, first_step * options.batch);
  return take(loader, batches);
}

void expect_same(const Stream& a, const Stream& b) {
  EXPECT_EQ(a.index, b.index);
  EXPECT_EQ(a.sample, b.sample);
  EXPECT_TRUE(at::equal(a.images, b.images));
}

Tensor in_floats(int64_t index) {
  return test::made_image(index).to(at::kFloat) / 127.5F - 1.0F;
}

}  // namespace

TEST(Loader, TheReplacementOfABrokenImageComesWithItsOwnIndex) {
  const data::Dataset dataset(std::make_shared<test::MadeSource>(kImages, std::set<int64_t>{3, 9}),
                              test::made_options());
  for (const int64_t threads : {0, 2}) {
    data::Loader loader(dataset, {.batch = 5, .seed = 3, .threads = threads}, 0);
    const auto stream = take(loader, 4);
    EXPECT_EQ(std::count(stream.index.begin(), stream.index.end(), 4), 4) << "twice an epoch: itself and 3";
    for (size_t i = 0; i < stream.index.size(); ++i) {
      EXPECT_TRUE(at::equal(stream.images[static_cast<int64_t>(i)], in_floats(stream.index[i])));
    }
  }
}

TEST(Loader, EveryEpochIsAnotherPermutation) {
  const auto stream = stream_of({.batch = 5, .seed = 3}, 0, 8);
  std::vector<int64_t> all(kImages);
  std::iota(all.begin(), all.end(), 0);
  std::set<std::vector<int64_t>> seen;
  for (auto epoch = stream.index.begin(); epoch != stream.index.end(); epoch += kImages) {
    std::vector<int64_t> order(epoch, epoch + kImages);
    seen.insert(order);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, all);
  }
  EXPECT_EQ(seen.size(), 4U);
  EXPECT_NE(stream.index, stream_of({.batch = 5, .seed = 4}, 0, 8).index);
}

TEST(Loader, RowsAreTheImagesTheyClaimToBeBetweenMinusOneAndOne) {
  const auto stream = stream_of({.batch = 7}, 2, 3);
  for (size_t row = 0; row < stream.index.size(); ++row) {
    EXPECT_EQ(stream.sample[row], static_cast<int64_t>(14 + row));
    EXPECT_TRUE(at::allclose(stream.images[static_cast<int64_t>(row)], in_floats(stream.index[row]), 0, 1e-6)) << row;
  }
}

TEST(Loader, StartingAtASampleEqualsSkippingTheBatchesBefore) {
  const data::LoaderOptions options{.batch = 7, .seed = 5, .flip = true};
  const data::Dataset dataset(std::make_shared<test::MadeSource>(kImages), test::made_options());
  data::Loader skipping(dataset, options, 0);
  for (int64_t k = 0; k < 9; ++k) {
    const auto skipped = skipping.next();
    data::Loader started(dataset, options, 7 * k);
    const auto first = started.next();
    EXPECT_EQ(skipped.index, first.index) << k;
    EXPECT_EQ(skipped.sample, first.sample) << k;
    EXPECT_TRUE(at::equal(skipped.x, first.x)) << k;
  }
}

TEST(Loader, AnotherBatchGoesOnWithTheNextSample) {
  const auto whole = stream_of({.batch = 4, .seed = 5, .flip = true}, 0, 16);
  const data::Dataset dataset(std::make_shared<test::MadeSource>(kImages), test::made_options());
  data::Loader other(dataset, {.batch = 5, .seed = 5, .flip = true}, 24);
  const auto rest = take(other, 8);
  EXPECT_EQ(rest.sample, std::vector<int64_t>(whole.sample.begin() + 24, whole.sample.end()));
  EXPECT_EQ(rest.index, std::vector<int64_t>(whole.index.begin() + 24, whole.index.end()));
  EXPECT_TRUE(at::equal(rest.images, whole.images.slice(0, 24)));
}

TEST(Loader, ThreadsAndPrefetchChangeNothing) {
  const auto one = stream_of({.batch = 16, .seed = 9, .flip = true, .threads = 1}, 3, 12);
  expect_same(one, stream_of({.batch = 16, .seed = 9, .flip = true, .threads = 4}, 3, 12));
  expect_same(one, stream_of({.batch = 16, .seed = 9, .flip = true, .threads = 4, .prefetch = 7}, 3, 12));
  expect_same(one, stream_of({.batch = 16, .seed = 9, .flip = true, .threads = 0}, 3, 12));
}

TEST(Loader, TheBatchSizeDoesNotChangeTheStream) {
  const auto small = stream_of({.batch = 7, .seed = 1, .flip = true}, 0, 64);
  expect_same(small, stream_of({.batch = 64, .seed = 1, .flip = true}, 0, 7));
}

TEST(Loader, SharesOfABatchAreItsRowsAndNothingElse) {
  const data::Dataset dataset(std::make_shared<test::MadeSource>(kImages), test::made_options());
  for (const int64_t threads : {0, 3}) {
    data::Loader whole(dataset, {.batch = 8, .seed = 5, .flip = true, .threads = threads}, 16);
    data::Loader first(dataset, {.batch = 8, .seed = 5, .flip = true, .threads = threads, .rows = {0, 2, 5}}, 16);
    data::Loader second(dataset, {.batch = 8, .seed = 5, .flip = true, .threads = threads, .rows = {1, 3, 4, 6, 7}},
                        16);
    for (int64_t step = 0; step < 5; ++step) {
      const auto all = whole.next(), left = first.next(), right = second.next();
      const auto expect_rows = [&](const data::Batch& part, const std::vector<int64_t>& rows) {
        EXPECT_TRUE(at::equal(part.x, all.x.index_select(0, at::tensor(rows))));
        for (size_t i = 0; i < rows.size(); ++i) {
          EXPECT_EQ(part.sample.at(i), all.sample.at(static_cast<size_t>(rows[i])));
          EXPECT_EQ(part.index.at(i), all.index.at(static_cast<size_t>(rows[i])));
        }
      };
      expect_rows(left, {0, 2, 5});
      expect_rows(right, {1, 3, 4, 6, 7});
    }
  }
}

TEST(Loader, FlipsAreDrawnForTheSampleNotForTheImage) {
  const auto stream = stream_of({.batch = 50, .seed = 2, .flip = true}, 0, 20);
  std::vector<int64_t> flips(kImages, 0);
  for (size_t row = 0; row < stream.index.size(); ++row) {
    const auto image = stream.images[static_cast<int64_t>(row)], stored = in_floats(stream.index[row]);
    const bool plain = at::allclose(image, stored, 0, 1e-6), mirrored = at::allclose(image, stored.flip({2}), 0, 1e-6);
    ASSERT_NE(plain, mirrored) << row;
    flips[static_cast<size_t>(stream.index[row])] += mirrored;
  }
  // 100 draws an image: five standard deviations are 25.
  for (const int64_t count : flips) EXPECT_NEAR(static_cast<double>(count), 50, 25);
}

TEST(Loader, WithoutFlipsNothingIsMirrored) {
  const auto stream = stream_of({.batch = 20}, 0, 3);
  for (size_t row = 0; row < stream.index.size(); ++row) {
    EXPECT_TRUE(at::allclose(stream.images[static_cast<int64_t>(row)], in_floats(stream.index[row]), 0, 1e-6));
  }
}

TEST(Loader, TooManyBrokenImagesStopItWhereverTheyAreRead) {
  for (const int64_t threads : {0, 1, 3}) {
    const data::Dataset dataset(std::make_shared<test::MadeSource>(kImages, std::set<int64_t>{1, 4}),
                                test::made_options(8, 1, 0.1));
    data::Loader loader(dataset, {.batch = kImages, .threads = threads}, 0);
    EXPECT_THAT(test::message_of<Error>([&] { loader.next(); }), HasSubstr("2 of 10 images are broken")) << threads;
  }
}

TEST(Loader, ReplacementsOfBrokenImagesDoNotDependOnThreads) {
  const auto read = [](int64_t threads) {
    const data::Dataset dataset(std::make_shared<test::MadeSource>(kImages, std::set<int64_t>{3, 4}),
                                test::made_options());
    data::Loader loader(dataset, {.batch = 8, .threads = threads}, 0);
    return take(loader, 5);
  };
  expect_same(read(1), read(4));
}

TEST(Loader, SaysWhichOptionIsWrong) {
  const data::Dataset dataset(std::make_shared<test::MadeSource>(kImages), test::made_options());
  const auto complaint = [&](const data::LoaderOptions& options, int64_t first) {
    return test::message_of<Error>([&] { data::Loader(dataset, options, first); });
  };
  EXPECT_THAT(complaint({.batch = 0}, 0), HasSubstr("batch"));
  EXPECT_THAT(complaint({.threads = -1}, 0), HasSubstr("threads"));
  EXPECT_THAT(complaint({.prefetch = 0}, 0), HasSubstr("prefetch"));
  EXPECT_THAT(complaint({}, -1), HasSubstr("first sample"));
}

// On a device bytes become numbers and are mirrored there; on the CPU the same code runs.
TEST(Loader, BytesForADeviceBecomeTheFloatsOfTheOtherBatches) {
  for (const bool flip : {false, true}) {
    data::LoaderOptions options{.batch = 7, .seed = 5, .flip = flip};
    const data::Dataset dataset(std::make_shared<test::MadeSource>(kImages, std::set<int64_t>{4}),
                                test::made_options());
    data::Loader floats(dataset, options, 0);
    options.for_device = true;
    data::Loader bytes(dataset, options, 0);
    for (int64_t step = 0; step < 3; ++step) {
      const auto expected = floats.next(), found = bytes.next();
      EXPECT_EQ(found.x.scalar_type(), at::kByte);
      EXPECT_EQ(found.index, expected.index);
      EXPECT_TRUE(at::equal(data::values_on(at::kCPU, found, 0, 7), expected.x)) << flip;
      EXPECT_TRUE(at::equal(data::values_on(at::kCPU, found, 2, 3), expected.x.narrow(0, 2, 3)));
      EXPECT_TRUE(at::equal(data::values_on(at::kCPU, expected, 2, 3), expected.x.narrow(0, 2, 3)));
    }
  }
}
