#include "sdg/model/unet_layers.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fill_rule.h"
#include "nn/finite_difference.h"
#include "sdg/core/error.h"

using namespace sdg;
using namespace sdg::model;

namespace {

UNetSignal some_signal(int64_t n, int64_t embedding, int64_t context = 0) {
  UNetSignal signal;
  signal.silu_embedding = test::fixed_normal({n, embedding}, 2).requires_grad_();
  if (context > 0) signal.context = test::fixed_normal({n, 3, context}, 4).requires_grad_();
  return signal;
}

// Every parameter and everything the layer looks at, in double.
void expect_right_gradients(UNetLayer& layer, int64_t channels, const UNetSignal& signal) {
  layer.to(at::kDouble);
  std::vector<Tensor> inputs{test::fixed_normal({2, channels, 4, 4}, 1).requires_grad_()};
  std::vector<std::string> names{"x"};
  uint64_t seed = 10;
  for (auto& item : layer.named_parameters()) {
    const at::NoGradGuard no_grad;
    item.value().copy_(test::fixed_normal(item.value().sizes(), seed++) * 0.3);
    inputs.push_back(item.value());
    names.push_back(item.key());
  }
  const bool embedded = dynamic_cast<ResBlockImpl*>(&layer) != nullptr;
  if (embedded) inputs.push_back(signal.silu_embedding), names.emplace_back("silu_embedding");
  if (signal.context.defined()) inputs.push_back(signal.context), names.emplace_back("context");
  test::expect_gradients_match([&] { return layer.forward(inputs[0], signal); }, inputs, names);
}

}  // namespace

TEST(ResBlock, HasTheRightGradientWithEverySwitch) {
  for (const auto how : {Resample::kNone, Resample::kUp, Resample::kDown})
    for (const bool scale_shift : {true, false}) {
      SCOPED_TRACE(cat("resample ", static_cast<int>(how), ", scale_shift ", scale_shift));
      const ResBlockOptions options{.in = 32, .out = 64, .embedding = 6, .scale_shift = scale_shift, .how = how};
      expect_right_gradients(*ResBlock(options), 32, some_signal(2, 6));
    }
}

TEST(PixelAttention, HasTheRightGradientInBothOrders) {
  for (const bool new_order : {true, false}) expect_right_gradients(*PixelAttention(64, 4, new_order), 64, {});
}

TEST(ContextAttention, HasTheRightGradient) {
  expect_right_gradients(*ContextAttention(16, 2, 6, 5), 16, some_signal(2, 1, 5));
}

TEST(ResampleConv, HasTheRightGradient) {
  for (const auto how : {Resample::kUp, Resample::kDown}) {
    expect_right_gradients(*ResampleConv(8, how, true), 8, {});
    expect_right_gradients(*ResampleConv(8, how, false), 8, {});
  }
}

// The two orders are one network whose 3C rows stand in another order.
TEST(PixelAttention, LegacyOrderIsThePermutedNewOrder) {
  const at::NoGradGuard no_grad;
  const int64_t channels = 64, heads = 4;
  PixelAttention fresh(channels, heads, true), legacy(channels, heads, false);
  test::fill(*fresh);
  test::fill(*legacy);
  auto rows = at::arange(3 * channels).view({3, heads, channels / heads}).transpose(0, 1).flatten();
  for (const auto* name : {"qkv.weight", "qkv.bias"})
    legacy->named_parameters()[name].copy_(fresh->named_parameters()[name].index_select(0, rows));
  const auto x = test::fixed_normal({2, channels, 3, 3}, 1).to(at::kFloat);
  EXPECT_TRUE(at::allclose(fresh->forward(x), legacy->forward(x), 1e-5, 1e-6));
}

// Attention_LR's definition, one query at a time.
TEST(ContextAttention, EqualsItsDefinition) {
  const at::NoGradGuard no_grad;
  const int64_t channels = 8, heads = 2, d = 3, width = 5;
  ContextAttention layer(channels, heads, d, width);
  test::fill(*layer);
  layer->to(at::kDouble);
  auto w = layer->named_parameters();
  layer->named_buffers()["norm.beta"].copy_(test::fixed_normal({channels}, 30));
  const auto beta = layer->named_buffers()["norm.beta"];
  const auto map = test::fixed_normal({1, channels, 2, 2}, 1), context = test::fixed_normal({1, 3, width}, 2);
  const auto norm = [](const Tensor& x, const Tensor& scale, const Tensor& shift) {
    return (x - x.mean(-1, true)) / at::sqrt(x.var({-1}, 0, true) + 1e-5) * scale + shift;
  };
  const auto x = map[0].flatten(1).t();  // [4, C]
  const auto normed = norm(x, w["norm.gamma"], beta);
  const auto told =
      norm(context[0], w["to_context.0.weight"], w["to_context.0.bias"]).mm(w["to_context.1.weight"].t()) +
      w["to_context.1.bias"];
  const auto kv = at::cat({told, w["null_kv"].reshape({1, 2 * d}), normed.mm(w["to_kv.weight"].t())});
  std::vector<Tensor> rows;
  for (int64_t query = 0; query < 4; ++query) {
    std::vector<Tensor> parts;
    for (int64_t head = 0; head < heads; ++head) {
      const auto q = w["to_q.weight"].slice(0, head * d, (head + 1) * d).mv(normed[query]);
      const auto weights = at::softmax(kv.slice(1, 0, d).mv(q) / std::sqrt(static_cast<double>(d)), 0);
      parts.push_back(kv.slice(1, d).t().mv(weights));
    }
    const auto out = w["to_out.0.weight"].mv(at::cat(parts));
    rows.push_back(x[query] + norm(out, w["to_out.1.gamma"], at::zeros({channels}, at::kDouble)));
  }
  UNetSignal signal;
  signal.context = context;
  const auto expected = at::stack(rows).t().reshape({1, channels, 2, 2});
  EXPECT_TRUE(at::allclose(layer->forward(map, signal), expected, 1e-9, 1e-9));
}

TEST(ResBlock, DropoutMasksBelongToTheSampleNotToTheBatch) {
  const at::NoGradGuard no_grad;
  ResBlock block(ResBlockOptions{.in = 32, .out = 32, .embedding = 4, .dropout = 0.3});
  test::fill(*block);
  block->set_name("input_blocks.1.0");
  const auto x = test::fixed_normal({3, 32, 4, 4}, 1).to(at::kFloat);
  auto signal = some_signal(3, 4);
  signal.silu_embedding = signal.silu_embedding.detach().to(at::kFloat);
  const auto run = [&](std::vector<int64_t> samples, int64_t first, int64_t count, uint64_t seed = 5) {
    auto part = signal;
    part.silu_embedding = signal.silu_embedding.narrow(0, first, count);
    part.dropout = std::make_shared<DropoutDraw>(DropoutDraw{seed, std::move(samples)});
    return block->forward(x.narrow(0, first, count), part);
  };
  const auto whole = run({7, 8, 9}, 0, 3), plain = block->forward(x, signal);
  EXPECT_TRUE(at::allclose(run({8}, 1, 1), whole.narrow(0, 1, 1), 1e-5, 1e-6));
  EXPECT_TRUE(at::equal(run({7, 8, 9}, 0, 3), whole));
  EXPECT_FALSE(at::allclose(whole, plain, 1e-2, 1e-2)) << "nothing was dropped";
  EXPECT_FALSE(at::allclose(run({7, 8, 9}, 0, 3, 6), whole, 1e-2, 1e-2)) << "the seed has no influence";
  // Over many masks the expectation is the plain output: the layer after the mask is linear.
  auto sum = at::zeros_like(plain);
  const int64_t draws = 400;
  for (int64_t i = 0; i < draws; ++i) sum += run({3 * i, 3 * i + 1, 3 * i + 2}, 0, 3);
  const auto deviation = (whole - plain).square().mean().sqrt().item<double>();
  EXPECT_LT((sum / draws - plain).square().mean().sqrt().item<double>(), 3 * deviation / std::sqrt(draws));
}
