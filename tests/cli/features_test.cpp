#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/model/catalog.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/torch_file.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::expect_failure;
using ::testing::HasSubstr;
using ::testing::Not;

using Features = test::Program;

TEST_F(Features, WritesTableMapsPageAndOneResultForEachTap) {
  train_run();
  const auto result =
      sdg("features --run run --depths 0,1 --times 0.5,0.9 --pooling mean,cls --count 120 --clusters 8");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("Labels are used for measuring only"));
  EXPECT_THAT(result.out, HasSubstr("| – | – | raw pixels | 64 |"));
  EXPECT_THAT(result.out, HasSubstr("best NMI of k-means"));
  EXPECT_THAT(result.out, HasSubstr(": --set cluster.depth="));
  const auto folder = folder_ / "run" / "features";
  const auto json = nlohmann::json::parse(test::read_text(folder / "results.json"));
  EXPECT_EQ(json.at("rows").size(), 1U + 2 * 2 * 2);
  EXPECT_EQ(json.at("images"), 120);
  EXPECT_EQ(json.at("train_images"), 96);
  EXPECT_EQ(json.at("test_images"), 24);
  EXPECT_EQ(json.at("clusters"), 8);
  for (const std::string name : {"linear-mean", "linear-cls", "knn-mean", "nmi-cls", "agreement-cls"})
    EXPECT_TRUE(std::filesystem::exists(folder / (name + ".png"))) << name;
  EXPECT_THAT(test::read_text(folder / "table.md"), HasSubstr("| depth | time | pooling |"));
  EXPECT_THAT(test::read_text(folder / "index.html"), HasSubstr("data:image/png;base64"));

  // The options it names are options that training takes.
  const auto at = result.out.rfind("--set cluster.depth");
  auto named = result.out.substr(at);
  named.pop_back();
  EXPECT_EQ(sdg("train --run again " + test::kTiny + named).code, 0) << named;
}

TEST_F(Features, DataWithoutLabelsGetWhatNeedsNone) {
  train_run();
  test::write_tiny_data(folder_ / "labelled.safetensors");
  auto file = tensors::read_tensors(folder_ / "labelled.safetensors");
  file.tensors.erase("labels");
  tensors::write_tensors(folder_ / "plain.safetensors", file);
  const auto result = sdg("features --run run --data plain.safetensors --depths 1 --times 0.9 --pooling flat --out f");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("only what needs none is measured"));
  EXPECT_THAT(result.out, Not(HasSubstr("linear")));
  EXPECT_THAT(result.out, HasSubstr("best agreement"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "f" / "agreement-flat.png"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "f" / "linear-flat.png"));
}

TEST_F(Features, StoresTheRunsTapOfAllImagesUnlessAnotherIsNamed) {
  train_run();
  ASSERT_EQ(sdg("features --run run --store own.safetensors").code, 0);
  const auto own = tensors::read_tensors(folder_ / "own.safetensors");
  EXPECT_EQ(own.at("features").sizes(), (Shape{1797, 16 * 32}));
  EXPECT_EQ(own.metadata.at("pooling"), "flat");
  EXPECT_EQ(own.metadata.at("time"), "0.85");
  const auto other = sdg("features --run run --depths 0 --times 0.5 --pooling cls --count 10 --store o.safetensors");
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_EQ(other.out, "");
  EXPECT_EQ(tensors::read_tensors(folder_ / "o.safetensors").at("features").sizes(), (Shape{10, 32}));
  expect_failure(sdg("features --run run --depths 0,1 --store x.safetensors"), 2, "one tap");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x.safetensors"));
}

TEST_F(Features, RefusesWhatItCannotMeasureInOneLine) {
  train_run();
  const auto fails = [&](const std::string& arguments, const std::string& what) {
    expect_failure(sdg("features --run run --out f " + arguments), 2, what);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "f")) << arguments;
  };
  fails("--depths 9", "blocks 0 to");
  fails("--times 1.2", "--times: expected a number from 0 to 1");
  fails("--pooling max", "--pooling: expected one of flat, mean, cls");
  fails("--clusters 3000", "clusters");
  fails("--count 2", "leave nothing");
  fails("--weights raw", "--weights");
  expect_failure(sdg("features --run nowhere"), 2, "nowhere");
}

TEST_F(Features, AConvertedNetworkNeedsDataAndHasNoClsToken) {
  model::ModelOptions options;
  options.name = "dit-tiny/2";
  const auto net =
      model::build(options, {.size = 8, .channels = 1, .condition = model::ConditionKind::kIndex, .classes = 4}, 1);
  std::map<std::string, Tensor> tensors;
  for (const auto& item : net->named_parameters()) tensors[item.key()] = item.value().detach();
  tensors::write_torch(folder_ / "public.pt", tensors);
  const auto converted = sdg("convert public.pt here.safetensors --as dit");
  ASSERT_EQ(converted.code, 0) << converted.err;
  expect_failure(sdg("features --checkpoint here.safetensors"), 2, "--data");
  const std::string some =
      "features --checkpoint here.safetensors --times 0.9 --depths 0 --count 60 --data '" SDG_SOURCE_DIR
      "/configs/digits.safetensors' ";
  expect_failure(sdg(some + "--pooling cls"), 2, "no cls token");
  const auto result = sdg(some);
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(std::filesystem::exists(folder_ / "features" / "index.html"));
}
