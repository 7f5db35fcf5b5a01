#include "sdg/nn/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "nn/finite_difference.h"

using namespace sdg;

namespace {

// The definition, one number at a time.
Tensor slow_attention(const Tensor& qkv, int64_t heads) {
  const auto n = qkv.size(0), tokens = qkv.size(1), dim = qkv.size(2) / 3, width = dim / heads;
  const auto in = qkv.accessor<double, 3>();
  auto result = at::zeros({n, tokens, dim}, at::kDouble);
  auto out = result.accessor<double, 3>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t query = 0; query < tokens; ++query) {
        std::vector<double> weight(static_cast<size_t>(tokens));
        double total = 0;
        for (int64_t key = 0; key < tokens; ++key) {
          double product = 0;
          for (int64_t d = 0; d < width; ++d)
            product += in[i][query][head * width + d] * in[i][key][dim + head * width + d];
          total += weight[key] = std::exp(product / std::sqrt(static_cast<double>(width)));
        }
        for (int64_t key = 0; key < tokens; ++key)
          for (int64_t d = 0; d < width; ++d)
            out[i][query][head * width + d] += weight[key] / total * in[i][key][2 * dim + head * width + d];
      }
  return result;
}

}  // namespace

class AttentionOfTokens : public testing::TestWithParam<int64_t> {};

TEST_P(AttentionOfTokens, EqualsItsDefinition) {
  const auto qkv = test::fixed_normal({2, GetParam(), 3 * 12}, 5);
  EXPECT_TRUE(at::allclose(nn::attention(qkv, 3), slow_attention(qkv, 3), 1e-10, 1e-10));
}

TEST_P(AttentionOfTokens, HasTheGradientOfItsDefinition) {
  const auto qkv = test::fixed_normal({1, GetParam(), 3 * 8}, 6).requires_grad_();
  test::expect_gradients_match([&] { return nn::attention(qkv, 2); }, {qkv}, {"qkv"});
}

// 64 and 65 lie on the two sides of the switch between the kernels.
INSTANTIATE_TEST_SUITE_P(OnBothKernels, AttentionOfTokens, testing::Values(1, 7, 64, 65));

TEST(Attention, WorksOnAPartOfABiggerTensor) {
  const auto wide = test::fixed_normal({3, 9, 40}, 7);
  const auto part = wide.slice(2, 2, 38);
  EXPECT_TRUE(at::allclose(nn::attention(part, 4), nn::attention(part.contiguous(), 4)));
}

TEST(Attention, QkNormMakesTheSizeOfTheQueriesMatterNot) {
  const at::NoGradGuard no_grad;
  nn::Attention attention(8, 2, true, at::TensorOptions(), /*qk_norm=*/true);
  for (auto& parameter : attention->parameters())
    parameter.copy_(test::fixed_normal(parameter.sizes(), static_cast<uint64_t>(parameter.numel())));
  const auto x = test::fixed_normal({2, 5, 8}, 3).to(at::kFloat);
  const auto before = attention->forward(x);
  attention->qkv->weight.slice(0, 0, 16).mul_(7);  // queries and keys, not values
  attention->qkv->bias.slice(0, 0, 16).mul_(7);
  EXPECT_TRUE(at::allclose(attention->forward(x), before, 1e-3, 1e-3));
  attention->qkv->weight.slice(0, 16).mul_(7);
  EXPECT_FALSE(at::allclose(attention->forward(x), before, 1e-2, 1e-2));
}

TEST(Attention, WithQkNormHasTheRightGradient) {
  nn::Attention attention(8, 2, true, at::TensorOptions(), /*qk_norm=*/true);
  attention->to(at::kDouble);
  std::vector<Tensor> inputs{test::fixed_normal({2, 5, 8}, 1).requires_grad_()};
  std::vector<std::string> names{"x"};
  uint64_t seed = 3;
  for (auto& item : attention->named_parameters()) {
    const at::NoGradGuard no_grad;
    item.value().copy_(test::fixed_normal(item.value().sizes(), seed++));
    if (item.key() == "k_norm.bias") continue;  // the same for all keys: the softmax does not see it
    inputs.push_back(item.value());
    names.push_back(item.key());
  }
  test::expect_gradients_match([&] { return attention->forward(inputs[0]); }, inputs, names);
}
