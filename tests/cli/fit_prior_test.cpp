#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"

using namespace sdg;
using namespace sdg::test;
using ::testing::HasSubstr;

namespace {

const std::string kEmbedding =
    "--set condition.token=embedding --set condition.stable=0 --set condition.change=0.3 --set train.steps=8 ";
const std::string kFit = "fit-prior run --steps 20 --width 16 --blocks 1 --batch 32 ";

TEST_F(Program, DrawsUnderVectorsThatNoImageWasTold) {
  train_run(kEmbedding);
  expect_failure(sdg("sample --run run --prior learned --out s"), 2, "prior.safetensors: no such file; sdg fit-prior");
  const auto fitted = sdg(kFit + "--json");
  ASSERT_EQ(fitted.code, 0) << fitted.err;
  const auto row = nlohmann::json::parse(fitted.out);
  EXPECT_EQ(row.at("steps"), 20);
  for (const auto* name : {"loss", "drawn_distance", "told_distance", "drawn_nearest", "told_nearest"})
    EXPECT_GT(row.at(name).get<double>(), 0) << name;
  const auto drawn = [&](const std::string& more) {
    const auto result = sdg("sample --run run --guidance 2 --npz a.npz " + more);
    EXPECT_EQ(result.code, 0) << result.err;
    return tensors::read_npz(folder_ / "a.npz");
  };
  const auto learned = drawn("--count 20 --prior learned");
  EXPECT_FALSE(learned.contains("arr_1"));  // no cluster is named
  EXPECT_FALSE(at::equal(drawn("--count 20").at("arr_0"), learned.at("arr_0")));
  EXPECT_TRUE(at::equal(drawn("--count 7 --batch 3 --prior learned").at("arr_0"), learned.at("arr_0").slice(0, 0, 7)));
  // Another prior is another content: what was begun with one is not gone on with by the other.
  ASSERT_EQ(sdg("sample --run run --prior learned --count 2 --out s").code, 0);
  ASSERT_EQ(sdg(kFit + "--seed 1").code, 0);
  EXPECT_NE(sdg("sample --run run --prior learned --count 4 --out s").code, 0);
  EXPECT_FALSE(at::equal(drawn("--count 20 --prior learned").at("arr_0"), learned.at("arr_0")));

  const auto measured = sdg("eval --run run --count 16 --metrics fid --prior learned");
  ASSERT_EQ(measured.code, 0) << measured.err;
  EXPECT_THAT(measured.out + measured.err, HasSubstr("prior learned"));
  expect_failure(sdg("sample --run run --prior learned --cluster 1 --out t"), 2, "--prior: --cluster says");
  expect_failure(sdg("sample --run run --prior learned --between 0,1 --out t"), 2, "prior learned: images on the way");
  expect_failure(sdg("sample --run run --prior learned --prior-temperature 2 --out t"), 2,
                 "a learned prior knows no frequencies");
}

// What tune and average make lies in other folders of the run.
TEST_F(Program, ARunHasOnePriorForAllItsFiles) {
  train_run(kEmbedding);
  ASSERT_EQ(sdg(kFit).code, 0);
  std::filesystem::create_directory(folder_ / "run/tune");
  std::filesystem::copy_file(last(), folder_ / "run/tune/average.safetensors");
  EXPECT_EQ(sdg("sample --checkpoint run/tune/average.safetensors --prior learned --count 2 --out s").code, 0);
  const auto swept = sdg("sweep --run run --prior learned,empirical --guidance 1.5 --count 16 --out swept");
  EXPECT_EQ(swept.code, 0) << swept.err;
  EXPECT_THAT(read_text(folder_ / "swept/points.jsonl"), HasSubstr("learned"));
}

TEST_F(Program, ThePriorOfACheckpointInNoRunLiesBesideIt) {
  train_run(kEmbedding);
  std::filesystem::copy_file(last(), folder_ / "mine.safetensors");
  ASSERT_EQ(sdg("fit-prior --checkpoint mine.safetensors --steps 20 --width 16 --blocks 1 --batch 32").code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "mine.prior.safetensors"));
  EXPECT_EQ(sdg("sample --checkpoint mine.safetensors --prior learned --count 2 --out s").code, 0);
}

// Features of a file are vectors too, and so are the means of its clusters, which have their frequencies.
TEST_F(Program, VectorsOfAFileCanBeDrawnAnew) {
  tensors::TensorFile file;
  file.tensors["features"] = rng::normal({5, rng::Purpose::kTest, 0}, rng::consecutive(0, 1797), {32});
  file.tensors["ids"] = at::arange(1797).remainder(5);
  file.tensors["centroids"] = rng::normal({6, rng::Purpose::kTest, 0}, rng::consecutive(0, 5), {32});
  tensors::write_tensors(folder_ / "f.safetensors", file);
  for (const std::string told : {"feat", "centroid"}) {
    ASSERT_EQ(sdg("train --run " + told + " " + kTiny +
                  "--set condition.source=file --set condition.file=f.safetensors " + "--set condition.told=" + told)
                  .code,
              0);
    const auto fitted = sdg("fit-prior " + told + " --steps 20 --width 16 --blocks 1 --batch 32");
    EXPECT_EQ(fitted.code, 0) << fitted.err;
    EXPECT_EQ(sdg("sample --run " + told + " --prior learned --count 2 --out s-" + told).code, 0);
  }
}

TEST_F(Program, ALearnedPriorIsOfTheStepItWasFittedTo) {
  train_run(kEmbedding);
  ASSERT_EQ(sdg(kFit).code, 0);
  train_run(kEmbedding + "--set train.steps=10");
  expect_failure(sdg("sample --run run --prior learned --out s"), 1,
                 "was fitted to what images are told at step 8, not to what");
}

TEST_F(Program, OnlyVectorsCanBeLearnedToBeDrawn) {
  train_run("--set condition.stable=0");
  expect_failure(sdg(kFit), 2, "fit-prior: needs a run that tells each image a vector of its own");
  expect_failure(sdg("sample --run run --prior learned --out s"), 2,
                 "prior learned: needs a run that tells each image");
  expect_failure(sdg("train --run other " + kTiny + "--set sample.prior=learned"), 2, "sample.prior: what learned");
}

}  // namespace
