#include "sdg/sample/guidance.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "sdg/core/error.h"

using namespace sdg;

TEST(Guide, OneIsConditionalAndZeroIsUnconditionalToTheBit) {
  const auto unconditional = at::linspace(-3, 3, 100) / 7, conditional = at::linspace(5, -11, 100) / 3;
  EXPECT_TRUE(at::equal(sample::guide(unconditional, conditional, 1), conditional));
  EXPECT_TRUE(at::equal(sample::guide(unconditional, conditional, 0), unconditional));
}

TEST(Guide, AboveOneGoesBeyondTheConditional) {
  const auto guided = sample::guide(at::tensor({1., -2.}), at::tensor({2., 0.}), 1.4);
  EXPECT_NEAR(guided[0].item<double>(), 2.4, 1e-6);  // sgfm: v_c + 0.4 (v_c - v_u)
  EXPECT_NEAR(guided[1].item<double>(), 0.8, 1e-6);
}

TEST(Guide, RefusesTwoShapes) {
  EXPECT_THROW(sample::guide(at::zeros({2, 3}), at::zeros({1, 3}), 2), Error);
}
