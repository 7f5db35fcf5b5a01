#include "sdg/model/find_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/model/catalog.h"

using namespace sdg;
using namespace sdg::model;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

namespace {

Tensors network(const std::string& preset, double value) {
  ModelOptions options;
  options.name = preset;
  Tensors out;
  const auto net = build(options, {.size = 8, .channels = 3, .condition = ConditionKind::kIndex, .classes = 4}, 1);
  for (const auto& item : net->named_parameters()) out[item.key()] = at::full_like(item.value(), value).detach();
  return out;
}

Tensors below(const std::string& prefix, const Tensors& tensors) {
  Tensors out;
  for (const auto& [name, tensor] : tensors) out[prefix + name] = tensor;
  return out;
}

double value_of(const FoundNetwork& found) {
  return found.tensors.begin()->second.flatten()[0].item<double>();
}

}  // namespace

TEST(FindNetwork, WhateverStandsBeforeItsNamesIsFound) {
  for (const std::string preset : {"dit-tiny/2", "uvit-tiny/2", "adm-tiny"}) {
    const auto own = network(preset, 1);
    for (const std::string prefix :
         {"", "model.", "net.", "ema_model.", "model.diffusion_model.", "a.b.c.d.", "student.module."}) {
      auto file = below(prefix, own);
      if (!prefix.empty()) file["first_stage_model.encoder.conv_in.weight"] = at::ones({1});
      const auto found = find_network(file);
      EXPECT_EQ(found.prefix, prefix) << preset;
      EXPECT_EQ(found.tensors.size(), own.size()) << preset << prefix;
      EXPECT_EQ(found.outside.size(), prefix.empty() ? 0U : 1U);
      EXPECT_TRUE(recognise(found.tensors)) << preset;
    }
  }
}

TEST(FindNetwork, OfSeveralTheAverageIsTakenAndTheOthersAreNamed) {
  for (const auto& [raw, average] : std::vector<std::pair<std::string, std::string>>{
           {"net.", "net_ema."}, {"online_model.", "ema_model."}, {"", "ema."}, {"model.", "averaged.module."}}) {
    auto file = below(raw, network("dit-tiny/2", 1));
    file.merge(below(average, network("dit-tiny/2", 2)));
    const auto found = find_network(file);
    EXPECT_EQ(found.prefix, average);
    EXPECT_THAT(found.others, ElementsAre(raw));
    EXPECT_EQ(value_of(found), 2);
    EXPECT_THAT(found.outside, IsEmpty());
  }
  auto file = below("ema_0.99.", network("dit-tiny/2", 1));
  file.merge(below("ema_0.9999.", network("dit-tiny/2", 2)));
  EXPECT_EQ(find_network(file).prefix, "ema_0.9999.");
}

TEST(FindNetwork, AnAverageWithoutDotsGetsTheNamesOfTheNetwork) {
  const auto own = network("adm-tiny", 1);
  auto file = below("model.diffusion_model.", own);
  for (const auto& [name, tensor] : own) {
    std::string key = "diffusion_model." + name;
    std::erase(key, '.');
    if (name != "out.2.bias") file["model_ema." + key] = tensor + 1;
  }
  file["model_ema.num_updates"] = at::ones({});
  const auto found = find_network(file);
  EXPECT_EQ(found.prefix, "model_ema.");
  EXPECT_EQ(found.tensors.size(), own.size());
  EXPECT_EQ(found.tensors.at("out.2.weight").flatten()[0].item<double>(), 2);
  EXPECT_EQ(found.tensors.at("out.2.bias").flatten()[0].item<double>(), 1);
  EXPECT_THAT(found.notes, Contains(HasSubstr("not in the average, taken from model.diffusion_model.: out.2.bias")));
  EXPECT_THAT(found.others, ElementsAre("model.diffusion_model."));
}

TEST(FindNetwork, ByWantedNamesThePlaceWithMostOfThemWins) {
  const Tensors file{
      {"a.x.w", at::ones({1})}, {"a.y.w", at::ones({1})}, {"a.z", at::ones({1})}, {"b.q.z", at::ones({1})}};
  const auto found = find_network(file, {"x.w", "y.w", "z"});
  EXPECT_EQ(found.prefix, "a.");
  EXPECT_EQ(found.tensors.size(), 3U);
  EXPECT_THAT(found.outside, ElementsAre("b.q.z"));
  EXPECT_EQ(find_network(file, {"nothing"}).tensors.size(), file.size());
}

TEST(FindNetwork, ForTensorsOfNoNetworkTheNearestFamilyIsNamed) {
  auto dit = network("dit-tiny/2", 1);
  dit.erase("x_embedder.proj.weight");
  dit["blocks.0.mlp.w12.weight"] = at::ones({1});
  EXPECT_THAT(nearest_network(dit),
              AllOf(HasSubstr("nearest family is dit"), HasSubstr("also has x_embedder.proj.weight"),
                    HasSubstr("does not have blocks.0.mlp.w12.weight"), Not(HasSubstr("label"))));
  EXPECT_THAT(nearest_network({{"layer1.0.bn.weight", at::ones({1})}}), HasSubstr("the file has layer1.0.bn.weight"));
  EXPECT_THAT(nearest_network({{"pos_embed", at::ones({1})}, {"x", at::ones({1})}}),
              HasSubstr("the file has pos_embed, x"));
  EXPECT_THAT(nearest_network({{"encoder.conv_in.weight", at::ones({1})}}), HasSubstr("an autoencoder"));
}
