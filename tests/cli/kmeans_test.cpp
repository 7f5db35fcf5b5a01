#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/model/catalog.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/torch_file.h"

using namespace sdg;
using test::expect_failure;
using test::kTiny;
using test::Program;
using ::testing::HasSubstr;

namespace {
const std::string kDigits = "'" SDG_SOURCE_DIR "/configs/digits.safetensors'";

class Kmeans : public Program {
 protected:
  nlohmann::json kmeans(const std::string& arguments) const {
    const auto result = sdg("kmeans --restarts 1 --json " + arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
  }
};
}  // namespace

TEST_F(Kmeans, ClustersOfARunTrainAnotherAndTheAuditFollowsThem) {
  train_run("--set condition.source=none");
  const auto row = kmeans("run --clusters 6 --pooling mean --depth 0 --time 0.9 --out ids.safetensors --device cpu");
  EXPECT_EQ(row.at("images"), 1797);
  EXPECT_EQ(row.at("features"), 32);
  EXPECT_EQ(row.at("clusters"), 6);
  EXPECT_EQ(row.at("label_free"), "yes");
  EXPECT_GT(row.at("nmi").get<double>(), 0.02);  // of a network of six steps; 0.005 is chance
  const auto stored = tensors::read_tensors(folder_ / "ids.safetensors");
  EXPECT_EQ(stored.at("ids").sizes(), (Shape{1797}));
  EXPECT_EQ(stored.metadata.at("tapped"), "depth 0, t 0.9, pooling mean");

  const auto trained =
      sdg("train --run guided " + kTiny + "--set condition.source=file --set condition.file=ids.safetensors");
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto audit = sdg("audit guided");
  EXPECT_THAT(audit.out, HasSubstr("label-free: yes"));
  EXPECT_THAT(audit.out, HasSubstr("ids.safetensors, which says"));
}

TEST_F(Kmeans, ARunThatSawLabelsIsNotForgotten) {
  train_run("--set condition.source=label");
  EXPECT_EQ(kmeans("run --clusters 6 --out ids.safetensors --device cpu").at("label_free"), "no");
  ASSERT_EQ(
      sdg("train --run guided " + kTiny + "--set condition.source=file --set condition.file=ids.safetensors").code, 0);
  EXPECT_THAT(sdg("audit guided").out, HasSubstr("label-free: no"));
}

TEST_F(Kmeans, FeaturesOfAFileNeedNoRun) {
  tensors::TensorFile file;
  const auto images = tensors::read_tensors(SDG_SOURCE_DIR "/configs/digits.safetensors").at("images");
  file.tensors["features"] = images.flatten(1).to(at::kFloat);
  tensors::write_tensors(folder_ / "pixels.safetensors", file);
  for (const std::string more : {"", "--minibatch 256 --start random ", "--no-standardize --l2 "}) {
    const auto row = kmeans("--features pixels.safetensors --data " + kDigits + " --clusters 20 " + more);
    EXPECT_EQ(row.at("label_free"), "unknown");
    EXPECT_GT(row.at("nmi").get<double>(), 0.5) << more;  // pixels of digits cluster well
    EXPECT_GT(row.at("entropy").get<double>(), 0.8) << more;
  }
  const auto plain = sdg("kmeans --features pixels.safetensors --clusters 3 --restarts 1");
  EXPECT_EQ(plain.code, 0) << plain.err;
  EXPECT_THAT(plain.out, HasSubstr("3 of 3 clusters hold images"));
  EXPECT_THAT(plain.out, ::testing::Not(HasSubstr("NMI"))) << "no labels were given";
  EXPECT_EQ(tensors::read_tensor_header(folder_ / "ids.safetensors").metadata.at("label_free"), "");
}

TEST_F(Kmeans, FeaturesOfConvertedPublicWeightsAreClustered) {
  model::ModelOptions options;
  options.name = "sit-tiny/2";
  const auto net =
      model::build(options, {.size = 8, .channels = 1, .condition = model::ConditionKind::kIndex, .classes = 4}, 1);
  std::map<std::string, Tensor> tensors;
  for (const auto& item : net->named_parameters()) tensors[item.key()] = item.value().detach();
  tensors::write_torch(folder_ / "sit.pt", tensors);
  ASSERT_EQ(sdg("convert sit.pt sit.safetensors --as sit").code, 0);
  const auto row =
      kmeans("--checkpoint sit.safetensors --data " + kDigits + " --clusters 10 --pooling mean --device cpu");
  EXPECT_EQ(row.at("images"), 1797);
  EXPECT_EQ(row.at("label_free"), "no") << "a network with classes knows labels";
}

TEST_F(Kmeans, WrongUsageIsNamed) {
  train_run();
  expect_failure(sdg("kmeans run --depth 9 --device cpu"), 2, "blocks 0 to 2");
  expect_failure(sdg("kmeans run --time 2 --device cpu"), 2, "--time: expected a number from 0 to 1");
  expect_failure(sdg("kmeans run --clusters 5000 --device cpu"), 2, "5000 clusters of 1797 images");
  expect_failure(sdg("kmeans run --out ids.txt"), 2, "must end in .safetensors");
  expect_failure(sdg("kmeans --features x.npy --depth 1"), 2, "do not go with --features");
  expect_failure(sdg("kmeans --features x.npy"), 1, "x.npy: no such file");
}
