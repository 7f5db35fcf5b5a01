#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/image/image.h"
#include "sdg/tensors/tensor_file.h"
#include "support/python.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::expect_failure;
using test::kTiny;
using test::Program;
using ::testing::HasSubstr;

namespace {

const std::string kLonger = "--set train.steps=400 ";

// `sdg: ` failures that must leave the run's checkpoint as it was.
class ProgramWithRun : public Program {
 protected:
  void SetUp() override {
    train_run();
    bytes_ = test::read_text(last());
  }
  void TearDown() override { EXPECT_EQ(test::read_text(last()), bytes_) << "the checkpoint changed"; }
  std::string bytes_;
};

}  // namespace

TEST_F(ProgramWithRun, DrawsTheSameImagesAgain) {
  for (const std::string out : {"a", "b"}) {
    const auto result = sdg("sample --run run --count 10 --out " + out);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(test::count_files(folder_ / out), 10);
  }
  for (const std::string name : {"/000000.png", "/000009.png", "-grid.png"}) {
    EXPECT_EQ(test::read_text(folder_ / ("a" + name)), test::read_text(folder_ / ("b" + name))) << name;
  }
}

TEST_F(ProgramWithRun, PrintsOneJsonObjectAndNothingElse) {
  const auto fid = sdg("eval-fid --run run --count 32 --reference-count 64 --json");
  ASSERT_EQ(fid.code, 0) << fid.err;
  const auto row = nlohmann::json::parse(fid.out);  // throws if anything stands beside the object
  EXPECT_EQ(row.at("metric"), "FD-digits");
  EXPECT_EQ(row.at("count"), 32);
  EXPECT_EQ(row.at("reference_count"), 64);
  EXPECT_GT(row.at("value").get<double>(), 0);
  EXPECT_EQ(test::lines_of(fid.out).size(), 1U);

  const auto clusters = sdg("eval-clusters --run run --json");
  ASSERT_EQ(clusters.code, 0) << clusters.err;
  EXPECT_EQ(nlohmann::json::parse(clusters.out).at("images"), 64);
}

TEST_F(ProgramWithRun, RefusesToGoOnWithAnotherConfiguration) {
  expect_failure(sdg("train --run run " + kTiny + "--set model.dim=64"), 2,
                 "another configuration: model.dim (32 -> 64)");
}

TEST_F(ProgramWithRun, NamesATruncatedCheckpoint) {
  const auto cut = folder_ / "cut.safetensors";
  test::write_text(cut, bytes_.substr(0, bytes_.size() / 2));
  expect_failure(sdg("sample --checkpoint cut.safetensors"), 1, "cut.safetensors: ");
  std::filesystem::create_directories(folder_ / "other/checkpoints");
  std::filesystem::copy_file(cut, last("other"));
  expect_failure(sdg("train --run other " + kTiny), 1, "last.safetensors: ");
}

TEST_F(ProgramWithRun, AFullDiskLeavesTheCheckpointAndTheRunCanGoOn) {
  const int files = test::count_files(last().parent_path());
  // The limit is far below a checkpoint and above the logs; the signal that goes with it is not what a full disk does.
  const auto failed = sdg("train --run run " + kTiny + "--set train.steps=8", "trap '' XFSZ; ulimit -f 300;");
  expect_failure(failed, 1, "cannot write");
  EXPECT_EQ(test::read_text(last()), bytes_);
  EXPECT_EQ(test::count_files(last().parent_path()), files);
  const auto again = sdg("train --run run " + kTiny + "--set train.steps=8");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("going on at step 6"));
  bytes_ = test::read_text(last());
  EXPECT_EQ(tensors::read_tensor_header(last()).metadata.at("step"), "8");
}

TEST_F(ProgramWithRun, ALossThatIsNotFiniteStopsTheRunAndLeavesTheCheckpoint) {
  // One weight is as large as a diverging run would make it.
  auto file = tensors::read_tensors(last());
  for (auto& [name, tensor] : file.tensors) {
    if (name.rfind("model.", 0) == 0 && tensor.dim() == 2) tensor = tensor.clone().fill_(1e30);
  }
  tensors::write_tensors(last(), file);
  bytes_ = test::read_text(last());
  expect_failure(sdg("train --run run " + kTiny + "--set train.steps=8"), 1, "step 7: the flow loss is ");
}

TEST_F(Program, ADivergingOptimizerIsNamed) {
  // Without an offset in the denominator, weights that get no gradient become 0/0.
  expect_failure(sdg("train --run run " + kTiny + "--set train.eps=0 --set condition.source=label"), 1,
                 "step 1: the optimizer would make weights that are not finite");
}

TEST_F(Program, ARunThatIsRefusedLeavesNoFolder) {
  expect_failure(sdg("train --run run " + kTiny + "--set data.path=missing.tar"), 1, "missing.tar");
  expect_failure(sdg("train --run run " + kTiny + "--set cluster.clusters=4000"), 2, "cluster.clusters");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
}

TEST_F(Program, StopsOnSigtermWithACheckpointAndGoesOnToTheSameEnd) {
  const std::string arguments = "train " + kTiny + kLonger + "--run ";
  {
    test::RunningProgram program(folder_.path(), arguments + "run");
    // The first line of progress comes with the first step, long before the last of the 400.
    ASSERT_TRUE(program.says(" 1/400", 60)) << program.err();
    program.send(SIGTERM);
    const auto stopped = program.wait();
    EXPECT_EQ(stopped.code, 143) << stopped.err;
    EXPECT_THAT(stopped.err, HasSubstr("stopped at step "));
    EXPECT_THAT(stopped.err, HasSubstr("last.safetensors"));
  }
  ASSERT_TRUE(std::filesystem::exists(last()));
  EXPECT_NE(tensors::read_tensor_header(last()).metadata.at("step"), "400");
  const auto resumed = sdg(arguments + "run");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("going on at step "));
  const auto whole = sdg(arguments + "whole");
  EXPECT_EQ(whole.code, 0) << whole.err;
  test::expect_same_tensors(last("whole"), last());
}

TEST_F(Program, WritesWhatTensorBoardReads) {
  SDG_NEEDS_PYTHON("tensorboard");
  train_run();
  const auto result = test::run_python(
      "import sys\n"
      "from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
      "events = EventAccumulator(sys.argv[1]); events.Reload()\n"
      "tags = events.Tags()\n"
      "assert {'train/loss', 'train/cluster_loss', 'clusters/nmi'} <= set(tags['scalars']), tags\n"
      "assert {'samples', 'clusters'} <= set(tags['images']), tags\n"
      "assert [e.step for e in events.Scalars('train/loss')] == [1, 6], events.Scalars('train/loss')\n",
      {checkpoint::RunFolder(folder_ / "run").tensorboard().string()});
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_F(Program, APaintedMapDecidesThePatchesOfAPatchLevelRun) {
  train_run("--set cluster.level=patch");
  auto map = at::zeros({1, 4, 4}, at::kByte);
  map.slice(2, 2).fill_(3);
  image::write_png(folder_ / "map.png", map);
  image::write_png(folder_ / "large.png", map.repeat_interleave(8, 1).repeat_interleave(8, 2));
  image::write_png(folder_ / "other.png", at::full({1, 4, 4}, 1, at::kByte));
  for (const std::string name : {"map", "large", "other"}) {
    const auto result = sdg("sample --run run --count 2 --guidance 2 --map " + name + ".png --out " + name);
    ASSERT_EQ(result.code, 0) << result.err;
  }
  const auto image = [&](const std::string& out) { return test::read_text(folder_.path() / out / "000001.png"); };
  EXPECT_EQ(image("map"), image("large"));
  EXPECT_NE(image("map"), image("other"));
  image::write_png(folder_ / "odd.png", at::zeros({1, 5, 5}, at::kByte));
  // The map that the network sees in a training image, and in the same image as a file.
  const auto digits = tensors::read_tensors(SDG_SOURCE_DIR "/configs/digits.safetensors").at("images");
  image::write_png(folder_ / "image.png", digits[0].view({1, 8, 8}));
  for (const std::string from : {"0", "5", "image.png"}) {
    const auto result = sdg("sample --run run --count 2 --guidance 2 --map-from " + from + " --out from-" +
                            std::filesystem::path(from).stem().string());
    ASSERT_EQ(result.code, 0) << result.err;
  }
  EXPECT_EQ(image("from-0"), image("from-image"));
  EXPECT_NE(image("from-0"), image("from-5"));
  expect_failure(sdg("sample --run run --map-from 1797"), 2, "images 0 to 1796, got 1797");
  expect_failure(sdg("sample --run run --map-from nowhere.png"), 1, "nowhere.png");
  expect_failure(sdg("sample --run run --map odd.png"), 2, "side of 4 or a multiple");
  image::write_png(folder_ / "beyond.png", at::full({1, 4, 4}, 5, at::kByte));
  expect_failure(sdg("sample --run run --map beyond.png"), 2,
                 "beyond.png: this run has clusters 0 to 4, the map holds 5 in patch 0");
  // Of 16 bits, which as a picture of 8 would all be cluster 0.
  test::write_text(folder_ / "wide.pgm", std::string("P5 4 4 65535\n") + std::string(32, '\1'));
  expect_failure(sdg("sample --run run --map wide.pgm"), 1, "wide.pgm: expected a PNG of class numbers");
}

TEST_F(Program, ARunToldEmbeddingsIsDrawnFromUnderThoseOfAClustersImages) {
  train_run("--set condition.token=embedding --set condition.stable=0 --set condition.change=0.3 --set train.steps=8");
  const auto kept = tensors::read_tensors(last()).at("kept_clusters").flatten();
  const auto cluster = std::get<0>(kept.masked_select(kept.ge(0)).mode()).item<int>();
  const auto drawn = [&](const std::string& more) {
    const auto result = sdg("sample --run run --count 12 --guidance 2 --npz a.npz " + more);
    EXPECT_EQ(result.code, 0) << result.err;
    return tensors::read_npz(folder_ / "a.npz");
  };
  const auto of_one = drawn(cat("--cluster ", cluster));
  EXPECT_TRUE(of_one.at("arr_1").eq(cluster).all().item<bool>());
  EXPECT_TRUE(at::equal(drawn(cat("--batch 5 --cluster ", cluster)).at("arr_0"), of_one.at("arr_0")));
  const auto of_all = drawn("");
  EXPECT_FALSE(of_all.at("arr_1").eq(cluster).all().item<bool>());
  EXPECT_GE(of_all.at("arr_1").min().item<int64_t>(), 0);
  expect_failure(sdg("sample --run run --cluster 0:0.5,1:0.5 --out s"), 2,
                 "this run tells each image its own embedding");
  expect_failure(sdg("sample --run run --prior-temperature 2 --out s"), 2, "prior and prior_temperature");
  expect_failure(sdg("sample --run run --cluster 5 --out s"), 2, "cluster must be 0 to 4, got 5");
  expect_failure(sdg("sample --run run --guide other --out s"), 2, "guide other");
  ASSERT_EQ(sdg(cat("sample --run run --count 1 --out one --cluster ", cluster)).code, 0);
  for (const std::string command : {"invert --pictures one/000000.png", "likelihood --images 4"})
    expect_failure(sdg(cat(command, " --run run --solver heun --cluster ", cluster)), 2,
                   "this run tells each image its own embedding");
  for (const std::string command :
       {"clusters --run run --generated 4 --per-cluster 2", "eval-clusters --run run", "tune run --images 400"})
    EXPECT_EQ(sdg(command).code, 0) << command;
}

TEST_F(Program, ScoresMapsOfClustersAgainstMasks) {
  auto images = at::zeros({20, 8, 8}, at::kByte);
  images.slice(2, 4).fill_(255);  // the right half of each image
  tensors::TensorFile file;
  file.tensors["images"] = images;
  file.tensors["masks"] = images.gt(0).to(at::kByte);
  tensors::write_tensors(folder_ / "halves.safetensors", file);
  train_run("--set data.path=halves.safetensors --set cluster.level=patch");
  const auto result = sdg("eval-clusters --run run --json");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto row = nlohmann::json::parse(result.out);
  EXPECT_EQ(row.at("pixels"), 20 * 64);
  for (const auto* name : {"miou", "miou_majority", "pixel_accuracy", "pixel_accuracy_majority"}) {
    EXPECT_GT(row.at(name).get<double>(), 0) << name;
    EXPECT_LE(row.at(name).get<double>(), 1) << name;
  }
  EXPECT_THAT(sdg("eval-clusters --run run").out, HasSubstr("against the masks (1280 pixels): mIoU"));
}
