// What guidance learned in training adds to networks: an inner head, the strength as an input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "nn/finite_difference.h"
#include "sdg/core/error.h"
#include "sdg/model/catalog.h"
#include "sdg/model/recognise.h"
#include "support/temporary_folder.h"

using namespace sdg;
using namespace sdg::model;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kInner = 1;

ModelOptions options_of(const std::string& family) {
  ModelOptions out;
  out.name = family == "adm" ? "adm-tiny" : family + "-tiny/2";
  if (family == "adm") return out;
  out.dim = 16;
  out.depth = 4;
  out.heads = 2;
  return out;
}

ModelShape shape_of(int64_t inner, bool strength) {
  return {
      .size = 4, .channels = 2, .condition = ConditionKind::kIndex, .classes = 3, .inner = inner, .strength = strength};
}

// With weights that are nowhere zero.
std::shared_ptr<VelocityModel> made(const std::string& family, int64_t inner, bool strength) {
  auto out = build(options_of(family), shape_of(inner, strength), 1);
  const at::NoGradGuard no_grad;
  for (auto& item : out->named_parameters())
    if (item.value().requires_grad())
      item.value().add_(test::fixed_normal(item.value().sizes(), rng::hash(item.key())).to(at::kFloat), 0.05);
  return out;
}

const Tensor kImages = test::fixed_normal({3, 2, 4, 4}, 1).to(at::kFloat);
const Tensor kTimes = at::tensor({0.1F, 0.5F, 0.8F});
const Condition kCondition = Condition::given(at::tensor({0, 2, 1}, at::kLong));

ForwardOptions asking(int64_t features = -1) {
  ForwardOptions out;
  out.inner = true;
  out.feature_depth = features;
  return out;
}

// Patches [L, P*P*C] put together pixel by pixel: patch l row by row, within it rows, columns, channels.
Tensor put_together(const Tensor& patches, int64_t side, int64_t patch, int64_t channels) {
  auto out = at::zeros({channels, side, side});
  const auto across = side / patch;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t y = 0; y < side; ++y)
      for (int64_t x = 0; x < side; ++x)
        out[c][y][x] = patches[y / patch * across + x / patch][((y % patch) * patch + x % patch) * channels + c];
  return out;
}

Tensor normed(const Tensor& rows, double eps) {
  const auto centred = rows - rows.mean(-1, true);
  return centred / (centred.square().mean(-1, true) + eps).sqrt();
}

}  // namespace

TEST(InnerHead, OfAUViTIsANormAndALinearMapOfThePatchTokensAfterItsBlock) {
  const auto net = made("uvit", kInner, false);
  const auto out = net->forward(kImages, kTimes, kCondition, asking(kInner));
  const auto p = net->named_parameters();
  for (int64_t i = 0; i < 3; ++i) {
    const auto rows = normed(out.features[i].slice(0, net->extra_tokens()), 1e-5);  // [L, D]
    const auto scaled = rows * p["inner_head.norm.weight"] + p["inner_head.norm.bias"];
    const auto pixels = scaled.matmul(p["inner_head.linear.weight"].t()) + p["inner_head.linear.bias"];
    EXPECT_TRUE(at::allclose(out.inner[i], put_together(pixels, 4, 2, 2), 1e-4, 1e-5)) << i;
  }
}

TEST(InnerHead, OfADiTIsSteeredByTimeAndCondition) {
  const auto net = made("dit", kInner, false);
  const auto out = net->forward(kImages, kTimes, kCondition, asking(kInner));
  EXPECT_EQ(out.inner.sizes(), kImages.sizes());
  const auto p = net->named_parameters();
  const at::NoGradGuard no_grad;
  // Without its modulation it is a linear map of the normed tokens.
  p["inner_head.adaLN_modulation.1.weight"].zero_();
  p["inner_head.adaLN_modulation.1.bias"].zero_();
  const auto plain = net->forward(kImages, kTimes, kCondition, asking(kInner));
  EXPECT_FALSE(at::allclose(plain.inner, out.inner));
  for (int64_t i = 0; i < 3; ++i) {
    const auto pixels =
        normed(plain.features[i], 1e-6).matmul(p["inner_head.linear.weight"].t()) + p["inner_head.linear.bias"];
    EXPECT_TRUE(at::allclose(plain.inner[i], put_together(pixels, 4, 2, 2), 1e-4, 1e-5)) << i;
  }
}

TEST(InnerHead, ChangesNothingOfThePredictionAndIsComputedOnlyWhereAskedFor) {
  for (const std::string family : {"uvit", "dit", "sit", "adm"}) {
    const auto plain = made(family, -1, false), with = made(family, kInner, false);
    EXPECT_FALSE(plain->has_inner());
    EXPECT_TRUE(with->has_inner());
    const auto expected = plain->forward(kImages, kTimes, kCondition).prediction;
    EXPECT_TRUE(at::equal(with->forward(kImages, kTimes, kCondition).prediction, expected)) << family;
    EXPECT_FALSE(with->forward(kImages, kTimes, kCondition).inner.defined());
    const auto asked = with->forward(kImages, kTimes, kCondition, asking());
    EXPECT_TRUE(at::equal(asked.prediction, expected)) << family;
    EXPECT_TRUE(asked.inner.defined());
    EXPECT_GT(with->macs(), plain->macs());
    EXPECT_LT(with->macs(), plain->macs() * 102 / 100);
  }
}

// At half the side each place predicts the two by two pixels that it stands for, channel by channel.
TEST(InnerHead, OfAUNetIsAsItsOutputLayerAndPredictsSquaresOfPixels) {
  for (const auto& [depth, square] : {std::pair<int64_t, int64_t>{1, 1}, {3, 2}}) {
    const auto net = made("adm", depth, false);
    const auto out = net->forward(kImages, kTimes, kCondition, asking(depth));
    const auto p = net->named_parameters();
    const auto side = 4 / square, channels = net->feature_dim(depth);
    const auto& weight = p["inner_head.conv.weight"];
    ASSERT_EQ(weight.sizes(), (std::vector<int64_t>{2 * square * square, channels, 3, 3}));
    for (int64_t i = 0; i < 3; ++i) {
      // Groups of channels are normalised together, over all places.
      const auto groups = out.features[i].t().reshape({32, -1});  // [32, C / 32 * places]
      const auto rows = normed(groups, 1e-5).reshape({channels, side * side});
      const auto scaled = rows * p["inner_head.norm.weight"].unsqueeze(1) + p["inner_head.norm.bias"].unsqueeze(1);
      const auto padded = at::constant_pad_nd(at::silu(scaled).view({channels, side, side}), {1, 1, 1, 1});
      for (int64_t c = 0; c < 2; ++c)
        for (int64_t y = 0; y < 4; ++y)
          for (int64_t x = 0; x < 4; ++x) {
            const auto filter = c * square * square + y % square * square + x % square;
            const auto seen = padded.slice(1, y / square, y / square + 3).slice(2, x / square, x / square + 3);
            const auto expected = (weight[filter] * seen).sum() + p["inner_head.conv.bias"][filter];
            EXPECT_NEAR(out.inner[i][c][y][x].item<double>(), expected.item<double>(), 1e-4) << depth;
          }
    }
  }
}

TEST(InnerHead, StandsBeforeTheLastBlock) {
  for (const std::string family : {"uvit", "dit", "adm"}) {
    const auto last = made(family, -1, false)->blocks() - 1;
    EXPECT_NO_THROW(made(family, last - 1, false));
    EXPECT_THAT(test::message_of<UsageError>([&] { made(family, last, false); }),
                HasSubstr(cat("guided.inner: the inner head must stand before the last of the blocks 0 to ", last)));
  }
  auto unet = options_of("adm");
  unet.name = "sg-unet-fast";
  EXPECT_THAT(test::message_of<UsageError>([&] { build(unet, shape_of(-1, true), 1); }),
              HasSubstr("cannot be told a strength"));
}

TEST(StrengthInput, SaysNothingAtFirst) {
  for (const std::string family : {"uvit", "dit", "adm"}) {
    const auto plain = build(options_of(family), shape_of(-1, false), 1);
    const auto with = build(options_of(family), shape_of(-1, true), 1);
    for (const auto& net : {plain, with}) {
      const at::NoGradGuard no_grad;
      for (auto& item : net->named_parameters()) {  // a network that says something
        if (!item.key().starts_with("strength_embed") && item.value().requires_grad())
          item.value().add_(test::fixed_normal(item.value().sizes(), rng::hash(item.key())).to(at::kFloat), 0.05);
      }
    }
    ASSERT_GT(plain->forward(kImages, kTimes, kCondition).prediction.abs().max().item<double>(), 0.01);
    auto told = kCondition;
    told.strength = at::tensor({0.3F, 0.5F, 1.0F});
    EXPECT_TRUE(at::allclose(with->forward(kImages, kTimes, told).prediction,
                             plain->forward(kImages, kTimes, kCondition).prediction))
        << family;
  }
}

TEST(StrengthInput, IsOneWhereNothingIsSaidAndEachImagesOwn) {
  for (const std::string family : {"uvit", "dit", "adm"}) {
    const auto net = made(family, -1, true);
    EXPECT_TRUE(net->takes_strength());
    const auto at_strength = [&](const Tensor& strength) {
      auto told = kCondition;
      told.strength = strength;
      return net->forward(kImages, kTimes, told).prediction;
    };
    const auto unsaid = at_strength({}), one = at_strength(at::ones({3})), half = at_strength(at::full({3}, 0.5)),
               mixed = at_strength(at::tensor({1.0F, 0.5F, 1.0F}));
    EXPECT_TRUE(at::equal(unsaid, one)) << family;
    EXPECT_GT((half - one).abs().max().item<double>(), 1e-3) << family;
    EXPECT_TRUE(at::allclose(mixed[0], one[0], 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(mixed[1], half[1], 1e-5, 1e-6));
  }
  const auto deaf = made("uvit", -1, false);
  auto told = kCondition;
  told.strength = at::ones({3});
  EXPECT_THAT(test::message_of<Error>([&] { deaf->forward(kImages, kTimes, told); }),
              HasSubstr("takes no strength of guidance"));
}

TEST(StrengthInput, OfAnAdmUNetIsASumWithWhatItIsToldOfTheTime) {
  const auto net = made("adm", -1, true), deaf = made("adm", -1, false);
  EXPECT_GT(net->macs(), deaf->macs());
  // With the table of labels moved by what the strength says, the deaf network answers alike.
  const auto p = net->named_parameters();
  const at::NoGradGuard no_grad;
  for (auto& item : deaf->named_parameters()) item.value().copy_(p[item.key()]);
  const double b = 0.4;
  std::vector<double> waves;  // cosines, then sines, of 10 b at 32 rates
  for (const bool sine : {false, true})
    for (int i = 0; i < 32; ++i) {
      const double at = 10 * b * std::pow(10000.0, -i / 32.0);
      waves.push_back(sine ? std::sin(at) : std::cos(at));
    }
  const auto wave = at::tensor(waves).to(at::kFloat);
  const auto inside = at::silu(p["strength_embed.0.weight"].matmul(wave) + p["strength_embed.0.bias"]);
  deaf->named_parameters()["label_emb.weight"].add_(p["strength_embed.2.weight"].matmul(inside) +
                                                    p["strength_embed.2.bias"]);
  auto told = kCondition;
  told.strength = at::full({3}, b);
  const auto expected = deaf->forward(kImages, kTimes, kCondition).prediction;
  EXPECT_TRUE(at::allclose(net->forward(kImages, kTimes, told).prediction, expected, 1e-4, 1e-5));
  EXPECT_FALSE(at::allclose(net->forward(kImages, kTimes, kCondition).prediction, expected, 1e-4, 1e-5));
}

TEST(Recognising, SeesAnInnerHeadAndAnInputOfTheStrength) {
  for (const std::string family : {"uvit", "dit"}) {
    for (const bool strength : {false, true}) {
      const auto net = made(family, kInner, strength);
      Tensors tensors;
      for (const auto& item : net->named_parameters()) tensors.emplace(item.key(), item.value());
      const auto found = recognise(tensors, family);
      ASSERT_TRUE(found.has_value());
      EXPECT_TRUE(found->fits()) << family;
      EXPECT_GE(found->shape.inner, 0);
      EXPECT_EQ(found->shape.strength, strength);
    }
  }
}

TEST(Recognising, SeesTheInnerHeadOfAnAdmUNet) {
  ModelOptions options;
  options.name = "adm-64";
  options.learn_sigma = true;
  options.null_label = false;
  const auto net =
      build(options, {.size = 64, .condition = ConditionKind::kIndex, .classes = 1000, .inner = 5}, 1, at::kMeta);
  Tensors tensors;
  for (const auto& item : net->named_parameters()) tensors.emplace(item.key(), item.value());
  const auto found = recognise(tensors, "adm");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->options.name, "adm-64");
  EXPECT_GE(found->shape.inner, 0);
}
