#include "sdg/core/figure.h"

#include <gtest/gtest.h>

#include <tuple>

#include "sdg/core/error.h"

using namespace sdg;

TEST(Figure, IsTheNumberThatItsTensorHolds) {
  const auto figure = Figure::of(at::tensor({0.1F}));
  EXPECT_FALSE(figure.known());
  EXPECT_EQ(figure, static_cast<double>(0.1F));
  EXPECT_TRUE(figure.known());
  EXPECT_EQ(Figure(3) + 1, 4);
  EXPECT_THROW(Figure::of(at::zeros({2})), Error);
}

TEST(Figure, AddsWithoutBeingReadAndToTheBitsOfDoubles) {
  const double a = 0.1, b = 0.7;
  const auto sum = Figure::of(at::scalar_tensor(a, at::kDouble)).plus(Figure(b)).plus(Figure::of(at::ones({})));
  EXPECT_FALSE(sum.known());
  EXPECT_EQ(sum, a + b + 1);
  EXPECT_EQ(Figure::of(at::scalar_tensor(a, at::kDouble)).times(b), a * b);
  EXPECT_TRUE(Figure(1).plus(Figure(2)).known());
}

TEST(Figure, ManyAreReadAtOnce) {
  const auto a = Figure::of(at::ones({})), c = Figure::of(at::full({1}, 3.0));
  const Figure b = 2;
  Figure::read({&a, &b, &c});
  EXPECT_TRUE(a.known() && b.known() && c.known());
  EXPECT_EQ(a, 1);
  EXPECT_EQ(b, 2);
  EXPECT_EQ(c, 3);
  Figure::read({});
}

// The meta device holds no numbers: reading one throws, and passing figures on does not.
TEST(Figure, IsNotReadUnlessItIsUsed) {
  const auto far = Figure::of(at::ones({}, at::Device("meta")));
  const auto sum = far.plus(far).times(2).plus(Figure(1));
  EXPECT_FALSE(sum.known());
  EXPECT_ANY_THROW(std::ignore = static_cast<double>(sum));
}
