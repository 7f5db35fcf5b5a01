#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>

#include "sdg/core/error.h"
#include "sdg/model/catalog.h"
#include "sdg/nn/layers.h"

using namespace sdg;
using namespace sdg::model;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

namespace {

using Weights = std::map<std::string, Tensor>;

std::string message_of(torch::nn::Module& module, const Weights& weights, const std::string& prefix = "") {
  try {
    load_weights(module, weights, "net.safetensors", prefix);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST(LoadWeights, CopiesParametersAndBuffersByName) {
  torch::nn::BatchNorm1d norm(2);
  load_weights(*norm,
               {{"weight", at::tensor({1.F, 2.F})},
                {"bias", at::tensor({3., 4.}, at::kDouble)},
                {"running_mean", at::tensor({5.F, 6.F})},
                {"running_var", at::tensor({7.F, 8.F})},
                {"num_batches_tracked", at::scalar_tensor(9, at::kLong)}},
               "file");
  EXPECT_TRUE(at::equal(norm->weight, at::tensor({1.F, 2.F})));
  EXPECT_TRUE(at::equal(norm->bias, at::tensor({3.F, 4.F}))) << "converted to the parameter's type";
  EXPECT_TRUE(at::equal(norm->running_var, at::tensor({7.F, 8.F})));
  EXPECT_EQ(norm->num_batches_tracked.item<int64_t>(), 9);
  EXPECT_TRUE(norm->weight.requires_grad());
}

TEST(LoadWeights, SaysWhatIsMissingUnexpectedAndMisshapen) {
  nn::Linear linear(3, 2);
  auto message = message_of(*linear, {{"weight", at::zeros({2, 4})}, {"scale", at::zeros({2})}});
  EXPECT_THAT(message, AllOf(HasSubstr("net.safetensors"), HasSubstr("missing: bias"), HasSubstr("unexpected: scale"),
                             HasSubstr("weight [2, 4] instead of [2, 3]"), Not(HasSubstr("\n"))));
}

TEST(LoadWeights, ChangesNothingWhereItThrows) {
  nn::Linear linear(2, 2);
  message_of(*linear, {{"bias", at::ones({2})}});
  EXPECT_EQ(linear->bias.abs().sum().item<float>(), 0);
}

TEST(LoadWeights, ReadsBelowAPrefixAndLeavesTheRestAlone) {
  nn::Linear linear(2, 1, false);
  EXPECT_EQ(message_of(*linear, {{"ema.weight", at::ones({1, 2})}, {"step", at::ones({1})}}, "ema."),
            "nothing was thrown");
  EXPECT_EQ(linear->weight.sum().item<float>(), 2);
  EXPECT_THAT(message_of(*linear, {{"weight", at::ones({1, 2})}}, "ema."), HasSubstr("missing: weight"));
}

TEST(LoadWeights, IgnoresNamesAndBeginningsOnRequest) {
  nn::Linear linear(2, 1);
  load_weights(*linear, {{"weight", at::ones({1, 2})}, {"head.0.weight", at::ones({1})}}, "file", "",
               {"head.", "bias"});
  EXPECT_EQ(linear->weight.sum().item<float>(), 2);
  EXPECT_THROW(
      load_weights(*linear, {{"weight", at::ones({1, 2})}, {"headless", at::ones({1})}}, "file", "", {"head.", "bias"}),
      Error);
}

TEST(LoadWeights, KeepsLongListsShort) {
  Weights many;
  for (int i = 0; i < 40; ++i) many["extra" + std::to_string(i)] = at::zeros({1});
  EXPECT_THAT(message_of(*nn::Linear(1, 1), many), HasSubstr("and 34 more"));
}

TEST(ParameterCount, CountsElementsOfAllParameters) {
  EXPECT_EQ(parameter_count(*nn::Linear(3, 2)), 8);
}
