#include "sdg/regions/box.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/data/crop.h"

using namespace sdg;
using regions::Box;

TEST(Box, OverlapsByAreaOfBothOverAreaOfEither) {
  EXPECT_DOUBLE_EQ(regions::overlap({0, 0, 2, 2}, {1, 0, 3, 2}), 2.0 / 6);
  EXPECT_DOUBLE_EQ(regions::overlap({0, 0, 2, 2}, {0, 0, 2, 2}), 1);
  EXPECT_DOUBLE_EQ(regions::overlap({0, 0, 2, 2}, {2, 0, 3, 2}), 0);
  EXPECT_DOUBLE_EQ(regions::overlap({}, {}), 0);
  EXPECT_TRUE(regions::common({0, 0, 1, 1}, {4, 4, 5, 5}).empty());
}

TEST(Box, MapHoldsThePixelsWhoseMiddlesLieInIt) {
  const auto map = regions::box_map({1, 0.5, 2.6, 3}, 4);
  const auto expected = at::tensor({0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0}, at::kByte).view({4, 4});
  EXPECT_TRUE(at::equal(map, expected)) << map;
  EXPECT_EQ(regions::box_map({}, 4).sum().item<int64_t>(), 0);
}

TEST(Box, GoesThroughATensorAndBack) {
  const std::vector<Box> boxes{{1, 2, 3, 4.5}, {}};
  EXPECT_EQ(regions::to_boxes(regions::to_tensor(boxes), "here"), boxes);
  EXPECT_THROW(regions::to_boxes(at::zeros({2, 3}), "here"), Error);
  EXPECT_THROW(regions::to_boxes(at::full({1, 4}, std::nan("")), "here"), Error);
}

// The crop itself is the judge: a bright block is cut where its box says.
TEST(Box, LiesInTheMiddleSquareWhereItsPixelsDo) {
  struct Case {
    int64_t height, width, side;
    Box box;
  };
  for (const auto& c : {Case{64, 96, 64, {40, 8, 72, 40}}, Case{90, 64, 32, {10, 30, 50, 60}},
                        Case{300, 201, 64, {60, 100, 160, 200}}, Case{40, 40, 64, {5, 5, 25, 30}}}) {
    auto picture = at::zeros({1, c.height, c.width}, at::kByte);
    picture.slice(1, std::llround(c.box.top), std::llround(c.box.bottom))
        .slice(2, std::llround(c.box.left), std::llround(c.box.right))
        .fill_(255);
    const auto bright = data::adm_center_crop(picture, c.side)[0].ge(128);
    const auto map = regions::box_map(regions::in_center_crop(c.box, c.height, c.width, c.side), c.side).to(at::kBool);
    const auto both = map.logical_and(bright).sum().item<double>(),
               either = map.logical_or(bright).sum().item<double>();
    EXPECT_GT(both / either, 0.93) << c.height << " " << c.width << " " << c.side;
  }
  EXPECT_TRUE(regions::in_center_crop({0, 0, 10, 10}, 64, 192, 64).empty()) << "it lies in what is cut off";
}
