#include "sdg/network/flat_parameters.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include "sdg/core/error.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

struct TwoLayers : ::testing::Test {
  TwoLayers() {
    second->weight.requires_grad_(false);
    before = {first->weight.detach().clone(), first->bias.detach().clone(), second->bias.detach().clone()};
    flat.add("a.", *first);
    flat.add("b.", *second);
    flat.build();
  }
  torch::nn::Linear first{3, 2}, second{2, 4};
  std::vector<Tensor> before;
  network::FlatParameters flat;
};

}  // namespace

TEST_F(TwoLayers, ValuesAreTheTrainedParametersOneAfterAnother) {
  EXPECT_EQ(flat.names(), (std::vector<std::string>{"a.weight", "a.bias", "b.bias"}));  // b.weight is frozen
  EXPECT_TRUE(test::same_bytes(flat.values(), at::cat({before[0].reshape({-1}), before[1], before[2]})));
  EXPECT_TRUE(test::same_bytes(first->weight.detach(), before[0]));
}

TEST_F(TwoLayers, ParametersAreViewsOfTheValues) {
  flat.values().fill_(7);
  EXPECT_TRUE(first->weight.eq(7).all().item<bool>());
  EXPECT_TRUE(second->bias.eq(7).all().item<bool>());
  EXPECT_FALSE(second->weight.eq(7).any().item<bool>());
  {
    const at::NoGradGuard no_grad;
    first->bias[1] = 5;
  }
  EXPECT_EQ(flat.values()[7].item<float>(), 5);
  flat.named_views(flat.values()).at("b.bias").fill_(9);
  EXPECT_TRUE(second->bias.eq(9).all().item<bool>());
}

TEST_F(TwoLayers, MayLetGoOfTheValuesAndHoldOthers) {
  flat.let_go();
  EXPECT_FALSE(flat.held());
  EXPECT_EQ(first->weight.sizes(), before[0].sizes());
  EXPECT_EQ(first->weight.storage().nbytes(), 4U);
  flat.hold(at::arange(12, at::kFloat));
  EXPECT_TRUE(flat.held());
  EXPECT_TRUE(at::equal(first->weight.detach(), at::arange(6, at::kFloat).view({2, 3})));
  flat.values().fill_(3);
  EXPECT_TRUE(second->bias.eq(3).all().item<bool>());
}

TEST_F(TwoLayers, NothingIsAddedAfterBuild) {
  EXPECT_THROW(flat.add("c.", *second), Error);
}
