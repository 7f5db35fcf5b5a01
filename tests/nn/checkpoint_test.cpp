#include "sdg/nn/checkpoint.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "nn/finite_difference.h"

using namespace sdg;

namespace {
struct Twin {
  Tensor w = test::fixed_normal({4, 4}, 1).requires_grad_(), unused = test::fixed_normal({2}, 2).requires_grad_();
  Tensor x = test::fixed_normal({3, 4}, 3).requires_grad_(), fixed = test::fixed_normal({3, 4}, 4);
  int runs = 0;
  nn::Piece piece = [this](const std::vector<Tensor>& in) {
    ++runs;
    return at::gelu(at::linear(in[0] * 2, w)) * in[1];
  };
};
}  // namespace

TEST(Checkpoint, GivesTheValuesAndGradientsOfThePlainCall) {
  Twin t;
  const auto kept = nn::checkpoint(t.piece, {t.x, t.fixed}, {t.w, t.unused});
  EXPECT_EQ(t.runs, 1);
  const auto again = torch::autograd::grad({kept.pow(2).sum()}, {t.x, t.w, t.unused}, {}, std::nullopt, false, true);
  EXPECT_EQ(t.runs, 2) << "the backward pass runs the piece once more";
  const auto plain = t.piece({t.x, t.fixed});
  const auto expected = torch::autograd::grad({plain.pow(2).sum()}, {t.x, t.w});
  EXPECT_TRUE(at::equal(kept, plain));
  EXPECT_TRUE(at::equal(again[0], expected[0]));
  EXPECT_TRUE(at::equal(again[1], expected[1]));
  EXPECT_FALSE(again[2].defined());
}

TEST(Checkpoint, AddsUpOverPiecesThatShareAParameter) {
  Twin t;
  const auto chain = [&](auto&& call) { return call({call({t.x, t.fixed}), t.fixed}).sum(); };
  using Inputs = std::vector<Tensor>;
  const auto kept =
      torch::autograd::grad({chain([&](const Inputs& in) { return nn::checkpoint(t.piece, in, {t.w}); })}, {t.x, t.w});
  const auto plain = torch::autograd::grad({chain([&](const Inputs& in) { return t.piece(in); })}, {t.x, t.w});
  EXPECT_TRUE(at::allclose(kept[0], plain[0], 1e-14, 1e-14));
  EXPECT_TRUE(at::allclose(kept[1], plain[1], 1e-14, 1e-14));
}

TEST(Checkpoint, ReachesParametersWhereNoInputNeedsAGradient) {
  Twin t;
  const auto out = nn::checkpoint(t.piece, {t.x.detach(), t.fixed}, {t.w});
  out.sum().backward();
  EXPECT_TRUE(t.w.grad().defined());
}

TEST(Checkpoint, IsThePlainCallWithoutGradMode) {
  Twin t;
  const at::NoGradGuard no_grad;
  EXPECT_FALSE(nn::checkpoint(t.piece, {t.x, t.fixed}, {t.w}).requires_grad());
}

TEST(Checkpoint, RestoresAutocastForTheSecondRun) {
  std::vector<at::ScalarType> seen;
  const auto x = at::ones({2, 2}).requires_grad_(), w = at::ones({2, 2}).requires_grad_();
  const nn::Piece piece = [&](const std::vector<Tensor>& in) {
    const auto y = at::linear(in[0], w);
    seen.push_back(y.scalar_type());
    return y;
  };
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const auto y = nn::checkpoint(piece, {x}, {w});
  at::autocast::set_autocast_enabled(at::kCPU, false);
  at::autocast::clear_cache();
  y.sum().backward();
  EXPECT_EQ(seen, (std::vector<at::ScalarType>{at::kBFloat16, at::kBFloat16}));
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}
