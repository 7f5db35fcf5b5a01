#include "sdg/nn/embed.h"

#include <gtest/gtest.h>

#include "sdg/core/error.h"

using namespace sdg;

// Values printed by the code of DiT, ed81ce2.
TEST(TimeEmbedding, GivesThePublicValues) {
  const auto got = nn::time_embedding(at::tensor({0.5, 999.0}, at::kFloat), 8);
  const auto expected = at::tensor({.8775826, .9987503, .9999875, .9999999, .4794255, .0499792, .0049999, .0005,  //
                                    .9996498, .8074551, -.8444698, .5411435, -.0264608, -.5899291, -.5356032, .8409302})
                            .view({2, 8});
  EXPECT_TRUE(at::allclose(got.to(at::kDouble), expected.to(at::kDouble), 0, 2e-6)) << got;
}

TEST(TimeEmbedding, OfAnOddWidthEndsInAZero) {
  const auto t = at::tensor({0.3, 0.9}, at::kDouble);
  const auto got = nn::time_embedding(t, 7);
  ASSERT_EQ(got.sizes(), (Shape{2, 7}));
  EXPECT_TRUE(at::equal(got.slice(1, 0, 6), nn::time_embedding(t, 6)));
  EXPECT_EQ(got.select(1, 6).abs().sum().item<double>(), 0);
}

TEST(TimeEmbedding, TakesWholeTimesAndKeepsDoublePrecision) {
  EXPECT_TRUE(at::equal(nn::time_embedding(at::tensor({7}, at::kLong), 6), nn::time_embedding(at::tensor({7.F}), 6)));
  EXPECT_EQ(nn::time_embedding(at::zeros({1}, at::kDouble), 4).scalar_type(), at::kDouble);
  EXPECT_EQ(nn::time_embedding(at::zeros({1}, at::kHalf), 4).scalar_type(), at::kFloat);
}

TEST(PositionTable, GivesThePublicValues) {
  const auto expected = at::tensor({0.,     0.,       1.,    1.,     0.,     0.,       1.,    1.,      //
                                    .84147, .0099998, .5403, .99995, 0.,     0.,       1.,    1.,      //
                                    0.,     0.,       1.,    1.,     .84147, .0099998, .5403, .99995,  //
                                    .84147, .0099998, .5403, .99995, .84147, .0099998, .5403, .99995})
                            .view({4, 8});
  EXPECT_TRUE(at::allclose(nn::sincos_position_table(8, 2), expected.to(at::kFloat), 0, 6e-6));
  EXPECT_THROW(nn::sincos_position_table(6, 2), Error);
}
