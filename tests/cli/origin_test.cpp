// What a run was made from: its data, its conditions, its weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "data/made_images.h"
#include "sdg/tensors/tensor_file.h"

using namespace sdg;
using test::expect_failure;
using test::kTiny;
using test::Program;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

/// Twelve images of each of two classes, in a folder `set`.
class Origin : public Program {
 protected:
  Origin() {
    for (int i = 0; i < 24; ++i) put(i < 12 ? "cat" : "dog", cat(100 + i, ".png"), i);
  }
  void put(const std::string& kind, const std::string& name, int64_t key) const {
    fs::create_directories(folder_ / "set" / kind);
    image::write_png(folder_ / "set" / kind / name, test::made_image(key));
  }
  test::Outcome train(const std::string& run, const std::string& source, const std::string& more = "") const {
    return sdg("train --run " + run + " " + kTiny + "--set data.path=set --set train.picture_every=0 " +
               "--set condition.source=" + source + " " + more);
  }
  void trained(const std::string& run, const std::string& source, const std::string& more = "") const {
    const auto result = train(run, source, more);
    ASSERT_EQ(result.code, 0) << result.err;
  }
  std::string verdict(const std::string& run) const {
    const auto result = sdg("audit --json " + run);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.code == 0 ? nlohmann::json::parse(result.out).at("label_free").get<std::string>() : result.err;
  }
  std::string weights(const std::string& run) const { return "--set model.weights='" + last(run).string() + "' "; }
  void ids(const std::string& run, const std::string& out) const {
    const auto result = sdg("kmeans " + run + " --restarts 1 --device cpu --clusters 4 --out " + out);
    ASSERT_EQ(result.code, 0) << result.err;
  }
};

}  // namespace

TEST_F(Origin, ARenamedClassStopsTheRunThatLearnsFromLabels) {
  trained("run", "label");
  const auto before = test::read_text(last());
  fs::rename(folder_ / "set/cat", folder_ / "set/zebra");
  const auto longer = std::string("--set train.steps=8");
  expect_failure(train("run", "label", longer), 1,
                 "run: the data set is no longer the one this run was trained on: class cat is now zebra");
  expect_failure(sdg("train --resume run --set train.steps=8"), 1, "class cat is now zebra");
  EXPECT_EQ(test::read_text(last()), before);
  fs::rename(folder_ / "set/zebra", folder_ / "set/cat");
  trained("run", "label", longer);
}

TEST_F(Origin, AnAddedImageIsToldAsSuch) {
  for (const std::string source : {"none", "online", "recluster"}) {
    SCOPED_TRACE(source);
    trained(source, source);
    put("dog", "200.png", 77);
    expect_failure(train(source, source, "--set train.steps=8"), 1,
                   "25 images, there were 24; class dog has 13 images, it had 12");
    fs::remove(folder_ / "set/dog/200.png");
  }
}

TEST_F(Origin, ScoresOfStoredClustersAreNotTakenOfOtherImages) {
  trained("none", "none");
  trained("run", "kmeans", "--set condition.run=none");
  ids("none", "ids.safetensors");
  trained("file", "file", "--set condition.file=ids.safetensors");
  trained("online", "online");
  ASSERT_EQ(sdg("eval-clusters run --device cpu").code, 0);
  fs::rename(folder_ / "set/cat", folder_ / "set/zebra");
  for (const std::string run : {"run", "file"}) {
    expect_failure(sdg("eval-clusters " + run + " --device cpu"), 1, "class cat is now zebra");
    expect_failure(sdg("clusters " + run + " --device cpu"), 1, "is no longer the data set");
  }
  for (const std::string command : {"eval-clusters online", "kmeans none --restarts 1 --out new.safetensors"}) {
    const auto result = sdg(command + " --device cpu");
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("is no longer the data set that")) << command;
  }
  expect_failure(train("file2", "file", "--set condition.file=ids.safetensors"), 1,
                 "ids.safetensors was made for another data set than ");
  EXPECT_FALSE(fs::exists(folder_ / "file2"));
}

TEST_F(Origin, LabelsAreNotForgottenHopByHop) {
  trained("label", "label");
  EXPECT_EQ(verdict("label"), "no");
  trained("one", "online", weights("label"));
  EXPECT_EQ(verdict("one"), "no");
  trained("two", "none", weights("one"));
  EXPECT_EQ(verdict("two"), "no");
  ids("two", "ids.safetensors");
  trained("three", "file", "--set condition.file=ids.safetensors");
  EXPECT_EQ(verdict("three"), "no");
  trained("four", "kmeans", "--set condition.run=three");
  EXPECT_EQ(verdict("four"), "no");
  EXPECT_THAT(sdg("audit four").out, HasSubstr("label of each image"));
  ASSERT_EQ(sdg("features two --device cpu --store features.safetensors").code, 0);
  ASSERT_EQ(sdg("kmeans --features features.safetensors --clusters 4 --restarts 1 --out more.safetensors").code, 0);
  trained("five", "file", "--set condition.file=more.safetensors");
  EXPECT_EQ(verdict("five"), "no");
  ASSERT_EQ(sdg("convert two out.safetensors --to public").code, 0);
  trained("six", "online", "--set model.weights=out.safetensors");
  EXPECT_EQ(verdict("six"), "no");
  ASSERT_EQ(sdg("convert two out.pt --to public").code, 0);
  trained("seven", "online", "--set model.weights=out.pt");
  EXPECT_EQ(verdict("seven"), "no");
}

TEST_F(Origin, WhatNeverSawLabelsIsKnownNotTo) {
  trained("none", "none");
  trained("kmeans", "kmeans", "--set condition.run=none");
  EXPECT_EQ(verdict("kmeans"), "yes");
  trained("one", "online", weights("kmeans"));  // it holds a table of indices, which are no labels
  EXPECT_EQ(verdict("one"), "yes");
  ASSERT_EQ(sdg("features one --device cpu --store features.safetensors").code, 0);
  ASSERT_EQ(sdg("kmeans --features features.safetensors --clusters 4 --restarts 1 --out ids.safetensors").code, 0);
  trained("two", "file", "--set condition.file=ids.safetensors");
  EXPECT_EQ(verdict("two"), "yes");
  for (const std::string name : {"out.safetensors", "out.pt"}) {
    ASSERT_EQ(sdg("convert two " + name + " --to public").code, 0);
    trained("from-" + name, "online", "--set model.weights=" + name);
    EXPECT_EQ(verdict("from-" + name), "yes") << name;
    ASSERT_EQ(sdg("convert " + name + " back.safetensors --set model.heads=2").code, 0);
    EXPECT_EQ(verdict("--checkpoint back.safetensors"), "yes") << name;
  }
}

TEST_F(Origin, TrueLabelsInAFileDoNotBecomeLabelFreeByAnotherFile) {
  std::string labels;
  for (int i = 0; i < 24; ++i) labels += i < 12 ? "0\n" : "1\n";
  test::write_text(folder_ / "conditions.txt", labels);
  trained("run", "file", "--set condition.file=conditions.txt");
  EXPECT_EQ(verdict("run"), "unknown");
  trained("none", "none");
  ids("none", "ids.safetensors");
  std::string clusters;
  const auto stored = tensors::read_tensors(folder_ / "ids.safetensors").at("ids");
  for (int64_t i = 0; i < 24; ++i) clusters += std::to_string(stored[i].item<int64_t>() % 2) + "\n";
  test::write_text(folder_ / "conditions.txt", clusters);
  expect_failure(train("run", "file", "--set condition.file=conditions.txt --set train.steps=8"), 1,
                 "gives other indices than those this run was trained on");
  EXPECT_EQ(verdict("run"), "unknown");
}

TEST_F(Origin, AFileOfConditionsIsTheSameWhereverItLies) {
  std::string ids;
  for (int i = 0; i < 24; ++i) ids += std::to_string(i % 3) + "\n";
  test::write_text(folder_ / "ids.txt", ids);
  trained("run", "file", "--set condition.file=ids.txt");
  fs::create_directory(folder_ / "elsewhere");
  const auto more = sdg("train --resume ../run --set train.steps=5", "cd elsewhere;");
  EXPECT_EQ(more.code, 0) << more.err;
  fs::rename(folder_ / "ids.txt", folder_ / "elsewhere/moved.txt");
  const auto moved = sdg("train --resume run --set train.steps=6 --set condition.file=elsewhere/moved.txt");
  EXPECT_EQ(moved.code, 0) << moved.err;
  EXPECT_THAT(moved.err, HasSubstr("elsewhere/moved.txt"));
  test::write_text(folder_ / "other.txt", ids.substr(2) + "0\n");
  expect_failure(sdg("train --resume run --set train.steps=7 --set condition.file=other.txt"), 1,
                 "gives other indices than those this run was trained on");
}

TEST_F(Origin, AChangedConditionRunBeforeTheFirstCheckpointIsTheOneThatTrains) {
  trained("a", "none");
  trained("b", "none", "--set seed=5");
  trained("run", "kmeans", "--set condition.run=a");
  fs::remove_all(folder_ / "run/checkpoints");  // stopped before the first
  const auto result = train("run", "kmeans", "--set condition.run=b");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("is made anew"));
  trained("fresh", "kmeans", "--set condition.run=b");
  const auto of = [&](const std::string& run) {
    return tensors::read_tensors(checkpoint::RunFolder(folder_ / run).pseudo_labels());
  };
  EXPECT_TRUE(at::equal(of("run").at("ids"), of("fresh").at("ids")));
  EXPECT_FALSE(at::equal(of("run").at("ids"), at::zeros({24}, at::kLong)));
  EXPECT_THAT(of("run").metadata.at("made_from"), HasSubstr("b/checkpoints"));
}
