#include "sdg/learn/gradient_hooks.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "sdg/core/rng.h"

using namespace sdg;

TEST(GradientHooks, HearOfEachGradientWhenItIsWholeFromTheLastLayerOn) {
  std::vector<Tensor> weights;
  for (uint64_t i = 0; i < 4; ++i)
    weights.push_back(rng::normal({i, rng::Purpose::kTest, 0}, {0}, {5, 5})[0].requires_grad_());
  const auto& [first, twice, last, unused] = std::tie(weights[0], weights[1], weights[2], weights[3]);
  const auto pass = [&] {
    const auto loss = at::ones({2, 5}).mm(first).tanh().mm(twice).tanh().mm(twice).tanh().mm(last).sum();
    return torch::autograd::grad({loss}, weights, {}, false, false, /*allow_unused=*/true);
  };
  std::vector<size_t> order;
  std::vector<Tensor> heard(4);
  {
    const learn::GradientHooks hooks(weights, [&](size_t i, const Tensor& gradient) {
      EXPECT_FALSE(at::GradMode::is_enabled());
      order.push_back(i);
      heard[i] = gradient.clone();
    });
    const auto gradients = pass();
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(heard[i], gradients[i])) << i;
    EXPECT_FALSE(heard[3].defined());
    EXPECT_EQ(order, (std::vector<size_t>{2, 1, 0})) << "each once, also one that is used twice";
  }
  pass();
  EXPECT_EQ(order.size(), 3U) << "nobody listens any more";
}
