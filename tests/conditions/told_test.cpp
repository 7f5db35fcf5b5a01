#include "sdg/conditions/told.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/tensors/tensor_file.h"
#include "support/temporary_folder.h"

using namespace sdg;
using recipe::Told;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kImages = 5;

/// A file of clusters as `sdg kmeans --keep-features --neighbours 2` writes it.
class ToldOf : public ::testing::Test {
 protected:
  ToldOf() {
    file_.tensors["ids"] = at::tensor({2, 0, 2, 2, 0}, at::kLong);
    file_.tensors["centroids"] = at::arange(12).to(at::kFloat).view({3, 4});
    file_.tensors["features"] = at::arange(20).to(at::kFloat).view({5, 4}).add_(100);
    file_.tensors["neighbours"] = at::tensor({1, 2, 0, 2, 3, 4, 0, 1, 3, 0}, at::kLong).view({5, 2});
  }
  conditions::ToldConditions read(Told told) const {
    tensors::write_tensors(folder_ / "ids.safetensors", file_);
    return conditions::read_told(folder_ / "ids.safetensors", kImages, 8, told);
  }
  std::string failure(Told told) const {
    try {
      read(told);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }

  const test::TemporaryFolder folder_;
  tensors::TensorFile file_;
};

}  // namespace

TEST_F(ToldOf, TheClusterIsAnIndex) {
  for (const auto told : {Told::kStored, Told::kCluster}) {
    const auto cluster = read(told);
    EXPECT_FALSE(cluster.stored);
    EXPECT_EQ(cluster.classes, 3);
    EXPECT_TRUE(at::equal(cluster.ids, file_.at("ids")));
  }
}

TEST_F(ToldOf, TheCentroidIsTheRowOfTheClusterAsOftenAsThatIs) {
  const auto told = read(Told::kCentroid);
  EXPECT_TRUE(at::equal(told.stored->of(told.ids).value, file_.at("centroids").index_select(0, file_.at("ids"))));
  EXPECT_TRUE(at::equal(told.stored->frequencies(), at::tensor({2.0, 0.0, 3.0})));
  EXPECT_TRUE(at::equal(told.stored->some().frequencies(), at::tensor({2.0, 0.0, 3.0})));
  auto moved = told;
  moved.ids = at::tensor({0, 2, 2, 2, 0}, at::kLong);  // as many images in each
  EXPECT_NE(conditions::told_key(told), conditions::told_key(moved));
}

TEST_F(ToldOf, TheFeatureIsTheImagesOwn) {
  const auto told = read(Told::kFeat);
  EXPECT_TRUE(at::equal(told.stored->of(told.ids).value, file_.at("features")));
  EXPECT_EQ(told.stored->width(), 4);
}

TEST_F(ToldOf, ANeighboursFeatureIsDrawnAnewByTheSampleAlone) {
  const auto told = read(Told::kKnnFeat);
  const rng::Stream stream{7, rng::Purpose::kNeighbour, 0};
  const auto neighbours = file_.at("neighbours");
  std::vector<int64_t> seen(2);
  for (int64_t sample = 0; sample < 400; ++sample) {
    const auto image = sample % kImages;
    const auto row = told.stored->rows_for(at::tensor({image}), stream, {sample}).item<int64_t>();
    const auto place = neighbours[image].eq(row).nonzero();
    ASSERT_EQ(place.numel(), 1) << "no neighbour of the image";
    ++seen[static_cast<size_t>(place.item<int64_t>())];
    // Among others it is the same.
    const auto both = told.stored->rows_for(at::tensor({0L, image}), stream, {sample + 1, sample});
    EXPECT_EQ(both[1].item<int64_t>(), row);
  }
  EXPECT_NEAR(static_cast<double>(seen[0]), 200, 40);  // 4 deviations of 400 fair draws
  // What a checkpoint keeps to draw from: of each image one of its neighbours' features.
  const auto kept = told.stored->some();
  EXPECT_FALSE(kept.neighbours.defined());
  for (int64_t i = 0; i < kImages; ++i) {
    const auto row = (kept.values[i][0].item<int64_t>() - 100) / 4;
    EXPECT_TRUE(neighbours[i].eq(row).any().item<bool>()) << i;
  }
}

TEST_F(ToldOf, MistakesAreNamedInOneLine) {
  auto good = file_;
  file_.tensors.erase("centroids");
  EXPECT_THAT(failure(Told::kCentroid), HasSubstr("holds no `centroids`: make it with sdg kmeans"));
  file_ = good;
  file_.tensors["centroids"] = at::zeros({2, 4});
  EXPECT_THAT(failure(Told::kCentroid), HasSubstr("ids must be below the number of centroids, 2, got 2"));
  file_ = good;
  file_.tensors.erase("features");
  EXPECT_THAT(failure(Told::kFeat), HasSubstr("make it with sdg kmeans --keep-features"));
  file_.tensors["features"] = at::zeros({4, 4});
  EXPECT_THAT(failure(Told::kFeat), HasSubstr("[5, F], got"));
  file_.tensors["features"] = at::full({5, 4}, std::nan(""));
  EXPECT_THAT(failure(Told::kFeat), HasSubstr("features holds NaN or infinity"));
  file_ = good;
  file_.tensors["neighbours"] = at::zeros({5, 0}, at::kLong);
  EXPECT_THAT(failure(Told::kKnnFeat), HasSubstr("the list of neighbours is empty"));
  file_.tensors["neighbours"] = at::full({5, 2}, 5, at::kLong);
  EXPECT_THAT(failure(Told::kKnnFeat), HasSubstr("must be numbers of images, 0 to 4, got 5 to 5"));
  file_.tensors.erase("neighbours");
  EXPECT_THAT(failure(Told::kKnnFeat), HasSubstr("sdg kmeans --neighbours"));
  file_ = good;
  file_.tensors["maps"] = at::zeros({5, 8, 8}, at::kByte);
  EXPECT_THAT(failure(Told::kCluster), HasSubstr("holds maps, which condition.told cluster would leave out"));
}

TEST_F(ToldOf, MapsOfClassesMayHavePixelsOfNone) {
  auto maps = at::zeros({5, 8, 8}, at::kByte);
  maps[0][1].fill_(255);
  maps[1][2].fill_(2);
  file_ = {{{"maps", maps}, {"vectors", at::zeros({5, 4})}}, {{"map_channels", "4"}}};
  const auto told = read(Told::kStored);
  EXPECT_EQ(told.stored->map_channels, 4);
  const auto shown = told.stored->of(at::tensor({0L, 1L})).map;
  ASSERT_EQ(shown.sizes(), (Shape{2, 4, 8, 8}));
  EXPECT_EQ(shown[0].select(1, 1).sum().item<double>(), 0) << "a class was shown where there is none";
  EXPECT_EQ(shown.sum(1)[0].select(0, 0).sum().item<double>(), 8);
  EXPECT_EQ(shown[1][2].select(0, 2).sum().item<double>(), 8);
  file_.metadata["map_channels"] = "2";
  EXPECT_THAT(failure(Told::kStored), HasSubstr("maps hold class 2, but are said to have 2 classes"));
  file_.metadata["map_channels"] = "4abc";
  EXPECT_THAT(failure(Told::kStored), HasSubstr("`map_channels` must be 1 to 254, got 4abc"));
  file_.metadata.clear();
  EXPECT_THAT(failure(Told::kStored), HasSubstr("maps hold 255, which is no class where metadata `map_channels` says"));
  file_ = {{{"maps", at::ones({5, 1, 8, 8}, at::kByte)}}, {}};
  EXPECT_EQ(read(Told::kStored).stored->of(at::tensor({4L})).map.sum().item<double>(), 64);
  file_.tensors["maps"].fill_(3);
  EXPECT_THAT(failure(Told::kStored), HasSubstr("must be 0 and 1, got 3"));
}
