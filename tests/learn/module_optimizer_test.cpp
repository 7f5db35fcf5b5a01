#include "sdg/learn/module_optimizer.h"

#include <gtest/gtest.h>
#include <torch/optim/adamw.h>
#include <torch/types.h>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/nn/layers.h"

using namespace sdg;

namespace {

Tensor draw(uint64_t step, at::IntArrayRef shape) {
  return rng::normal({4, rng::Purpose::kTest, step}, rng::consecutive(0, shape[0]), shape.slice(1));
}

nn::Linear layer() {
  nn::Linear out(3, 2);
  const at::NoGradGuard no_grad;
  out->weight.copy_(draw(0, {2, 3}));
  return out;
}

Tensor loss_of(const nn::Linear& module, int64_t step) {
  return (module->forward(draw(10 + static_cast<uint64_t>(step), {4, 3})) - 1).square().sum();
}

}  // namespace

TEST(ModuleOptimizer, TakesTheStepsOfLibTorchsAdamW) {
  auto ours = layer(), theirs = layer();
  learn::ModuleOptimizer optimizer(
      *ours, {.beta1 = 0.8, .beta2 = 0.95, .clip = 0.7, .clip_each = true},
      [](const network::NamedRange& range) -> learn::Treatment { return {1, range.dimensions > 1 ? 0.1 : 0.0}; });
  const auto group = [](const Tensor& parameter, double decay) {
    auto options = std::make_unique<torch::optim::AdamWOptions>(0.03);
    options->betas({0.8, 0.95}).weight_decay(decay);
    return torch::optim::OptimizerParamGroup({parameter}, std::move(options));
  };
  torch::optim::AdamW judge(
      std::vector<torch::optim::OptimizerParamGroup>{group(theirs->weight, 0.1), group(theirs->bias, 0)});
  for (int64_t step = 0; step < 5; ++step) {
    optimizer.step(loss_of(ours, step), 0.03);
    judge.zero_grad();
    loss_of(theirs, step).backward();
    for (auto* parameter : {&theirs->weight, &theirs->bias}) {
      auto gradient = parameter->grad();
      const auto length = gradient.norm().item<double>();
      if (length > 0.7) gradient.mul_(0.7 / (length + 1e-6));
    }
    judge.step();
  }
  EXPECT_LT((ours->weight - theirs->weight).abs().max().item<double>(), 1e-5);
  EXPECT_LT((ours->bias - theirs->bias).abs().max().item<double>(), 1e-5);
}

TEST(ModuleOptimizer, GoesOnFromItsState) {
  auto whole = layer(), part = layer(), rest = layer();
  const auto same = [](const network::NamedRange&) { return learn::Treatment{}; };
  learn::ModuleOptimizer a(*whole, {}, same), b(*part, {}, same), c(*rest, {}, same);
  for (int64_t step = 0; step < 4; ++step) a.step(loss_of(whole, step), 0.1);
  for (int64_t step = 0; step < 2; ++step) b.step(loss_of(part, step), 0.1);
  c.restore(b.state(), "state");
  {
    const at::NoGradGuard no_grad;
    rest->weight.copy_(part->weight);
    rest->bias.copy_(part->bias);
  }
  for (int64_t step = 2; step < 4; ++step) c.step(loss_of(rest, step), 0.1);
  EXPECT_TRUE(at::equal(whole->weight, rest->weight));
  EXPECT_THROW(c.restore({}, "state"), Error);
}
