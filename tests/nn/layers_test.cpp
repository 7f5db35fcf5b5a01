#include "sdg/nn/layers.h"

#include <gtest/gtest.h>

#include "nn/finite_difference.h"
#include "sdg/core/error.h"
#include "sdg/nn/mlp.h"
#include "sdg/nn/patch.h"

using namespace sdg;

TEST(Layers, TakeNoMemoryOnTheMetaDevice) {
  const nn::Linear huge(int64_t{1} << 30, int64_t{1} << 30, true, at::TensorOptions(at::kMeta));
  EXPECT_TRUE(huge->weight.is_meta());
  EXPECT_EQ(huge->weight.numel(), int64_t{1} << 60);
}

TEST(Linear, WithoutABiasHasOnlyAWeight) {
  const nn::Linear linear(3, 2, false);
  ASSERT_EQ(linear->named_parameters().size(), 1U);
  EXPECT_EQ(linear->named_parameters()[0].key(), "weight");
}

// x Phi(x) at a few points (tables of the normal distribution) and the tanh formula written out.
TEST(Mlp, KnowsTheTwoGelus) {
  for (const auto kind : {nn::Gelu::kErf, nn::Gelu::kTanh}) {
    const nn::Mlp mlp(1, 1, kind);
    const at::NoGradGuard no_grad;
    mlp->fc1->weight.fill_(1);
    mlp->fc2->weight.fill_(1);
    for (const double x : {-2.0, -0.5, 0.0, 1.0, 2.5}) {
      const double erf = x * 0.5 * std::erfc(-x / std::sqrt(2.0));
      const double tanh = 0.5 * x * (1 + std::tanh(std::sqrt(2 / 3.14159265358979) * (x + 0.044715 * x * x * x)));
      EXPECT_NEAR(mlp->forward(at::full({1, 1}, x)).item<double>(), kind == nn::Gelu::kErf ? erf : tanh, 1e-6) << x;
    }
  }
}

TEST(PatchEmbed, IsAConvolutionWhoseStrideIsItsKernel) {
  nn::PatchEmbed embed(3, 2, 5);
  const at::NoGradGuard no_grad;
  embed->proj->weight.copy_(test::fixed_normal({5, 3, 2, 2}, 1));
  embed->proj->bias.copy_(test::fixed_normal({5}, 2));
  const auto x = test::fixed_normal({2, 3, 6, 8}, 3).to(at::kFloat);
  const auto expected = at::conv2d(x, embed->proj->weight, embed->proj->bias, 2).flatten(2).transpose(1, 2);
  EXPECT_TRUE(at::allclose(embed->forward(x), expected, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(embed->forward(x.contiguous(at::MemoryFormat::ChannelsLast)), expected, 1e-5, 1e-6));
}

TEST(Unpatchify, PutsEveryPixelWhereItBelongs) {
  const int64_t patch = 2, channels = 3, grid = 4;
  const auto tokens =
      at::arange(2 * grid * grid * patch * patch * channels).view({2, grid * grid, patch * patch * channels});
  const auto image = nn::unpatchify(tokens, patch, channels);
  ASSERT_EQ(image.sizes(), (Shape{2, channels, grid * patch, grid * patch}));
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t y = 0; y < grid * patch; ++y)
      for (int64_t x = 0; x < grid * patch; ++x) {
        const auto token = (y / patch) * grid + x / patch, inside = ((y % patch) * patch + x % patch) * channels + c;
        EXPECT_EQ(image[1][c][y][x].item<int64_t>(), tokens[1][token][inside].item<int64_t>());
      }
}

TEST(Patchify, RefusesSidesThatArePatchless) {
  EXPECT_ANY_THROW(nn::patchify(at::zeros({1, 1, 5, 4}), 2));
  EXPECT_ANY_THROW(nn::unpatchify(at::zeros({1, 5, 4}), 2, 1));
}

TEST(GroupNorm, EqualsItsDefinition) {
  nn::GroupNorm norm(2, 6, 1e-5);
  norm->to(at::kDouble);
  const at::NoGradGuard no_grad;
  norm->weight.copy_(test::fixed_normal({6}, 1));
  norm->bias.copy_(test::fixed_normal({6}, 2));
  const auto x = test::fixed_normal({3, 6, 2, 5}, 3);
  for (int64_t image = 0; image < 3; ++image)
    for (int64_t channel = 0; channel < 6; ++channel) {
      const auto group = x[image].slice(0, channel / 3 * 3, channel / 3 * 3 + 3);
      const auto expected =
          (x[image][channel] - group.mean()) / at::sqrt(group.var(false) + 1e-5) * norm->weight[channel] +
          norm->bias[channel];
      EXPECT_TRUE(at::allclose(norm->forward(x)[image][channel], expected, 1e-10, 1e-12));
    }
  EXPECT_THROW(nn::GroupNorm(4, 6, 1e-5), Error);
}

TEST(Conv2d, StrideTwoTakesEveryOtherPixel) {
  nn::Conv2d whole(2, 3, 3), half(2, 3, 3, at::TensorOptions(), 2);
  const at::NoGradGuard no_grad;
  for (auto* conv : {&whole, &half}) (*conv)->weight.copy_(test::fixed_normal({3, 2, 3, 3}, 1));
  const auto x = test::fixed_normal({1, 2, 6, 6}, 2).to(at::kFloat);
  EXPECT_TRUE(at::allclose(half->forward(x), whole->forward(x).slice(2, 0, 6, 2).slice(3, 0, 6, 2), 1e-5, 1e-6));
}
