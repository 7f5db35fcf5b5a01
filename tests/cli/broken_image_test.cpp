#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/image/image.h"
#include "sdg/tensors/tensor_file.h"

using namespace sdg;
using test::kTiny;
using test::Program;
using ::testing::HasSubstr;

namespace {

// Twelve images in two classes, of which the last of the first class is empty: what replaces it is the first of the
// second class. The twin is the same data set as tensors, where that place holds that image, with its label.
class BrokenImage : public Program {
 protected:
  void SetUp() override {
    Tensor images = (rng::uniform({5, rng::Purpose::kTest, 0}, rng::consecutive(0, 12), {1, 8, 8}) * 256).to(at::kByte);
    for (int64_t i = 0; i < 12; ++i) {
      const auto folder = folder_ / (i < 6 ? "data/cat" : "data/dog");
      std::filesystem::create_directories(folder);
      image::write_png(folder / cat(i % 6, ".png"), images[i]);
    }
    test::write_text(folder_ / "data/cat/5.png", "");
    images[5] = images[6].clone();
    tensors::TensorFile twin;
    twin.tensors["images"] = images;
    twin.tensors["labels"] = at::tensor(std::vector<int64_t>{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1});
    tensors::write_tensors(folder_ / "twin.safetensors", twin);
  }
  void train(const std::string& run, const std::string& data, const std::string& source) const {
    const auto result = sdg("train --run " + run + " " + kTiny +
                            "--set train.batch=4 --set train.picture_every=0 --set data.max_broken=0.1 "
                            "--set cluster.clusters=2 --set condition.source=" +
                            source + " --set data.path=" + data);
    ASSERT_EQ(result.code, 0) << result.err;
  }
};

}  // namespace

TEST_F(BrokenImage, ATrainingTakesTheReplacementWithItsOwnLabel) {
  train("broken", "data", "label");
  train("twin", "twin.safetensors", "label");
  const auto broken = tensors::read_tensors(last("broken")), twin = tensors::read_tensors(last("twin"));
  ASSERT_EQ(broken.tensors.size(), twin.tensors.size());
  for (const auto& [name, tensor] : twin.tensors) {
    if (name == "prior") continue;  // counts the labels as they are listed, before any image is read
    EXPECT_TRUE(at::equal(tensor, broken.tensors.at(name))) << name;
  }
}

TEST_F(BrokenImage, WhatIsMeasuredHasTheLabelsOfItsPixels) {
  train("run", "data", "online");
  const auto scores = sdg("eval-clusters run --json --device cpu");
  ASSERT_EQ(scores.code, 0) << scores.err;
  EXPECT_EQ(nlohmann::json::parse(scores.out).at("images"), 11) << "each good image once";

  ASSERT_EQ(sdg("features run --device cpu --store features.safetensors").code, 0);
  const auto stored = tensors::read_tensors(folder_ / "features.safetensors");
  EXPECT_FALSE((stored.at("indices") == 5).any().item<bool>());
  EXPECT_TRUE(at::equal(stored.at("labels"), (stored.at("indices") >= 6).to(at::kLong)));

  const auto clusters = sdg("kmeans run --clusters 3 --device cpu --out ids.safetensors");
  ASSERT_EQ(clusters.code, 0) << clusters.err;
  const auto ids = tensors::read_tensors(folder_ / "ids.safetensors").at("ids");
  ASSERT_EQ(ids.size(0), 12);
  EXPECT_EQ(ids[5].item<int64_t>(), ids[6].item<int64_t>());
}
