// The command line takes what a configuration takes, and nothing is ignored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "cli/tiny_program.h"
#include "sdg/tensors/tensor_file.h"

using namespace sdg;
using test::expect_failure;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

class CommandLine : public test::Program {
 protected:
  void refused(const std::string& command, const std::string& what) const {
    SCOPED_TRACE(command);
    expect_failure(sdg(command), 2, what);
  }
  // A copy of the run's checkpoint in which one value of a tensor is NaN.
  void spoil(const std::string& tensor, const std::string& out) const {
    auto file = tensors::read_tensors(last());
    auto& value = file.tensors.at(tensor);
    value = value.clone();
    value.view(-1)[0] = std::numeric_limits<double>::quiet_NaN();
    tensors::write_tensors(folder_ / out, file);
  }
};

}  // namespace

TEST_F(CommandLine, RefusesWhatAConfigurationRefuses) {
  train_run();
  for (const std::string command : {"sample --run run", "eval-fid --run run", "sweep --run run"}) {
    for (const std::string value : {"nan", "inf", "1e30", "-1", "1e400", "two"})
      refused(command + " --guidance " + value, "--guidance: expected a number from 0 to 1000, got");
    for (const std::string value : {"9223372036854775808", "18446744073709551616", "1e20", "-1", "1.5"})
      refused(command + " --seed " + value, "--seed: expected a whole number of at least 0");
    for (const std::string value : {"0", "-3", "1e300", "x"})
      refused(command + " --steps " + value, "--steps: expected");
    refused(command + " --count 0", "--count: expected");
    refused(command + " --batch 0", "--batch: expected");
    refused(command + " --solver eulr", "did you mean euler?");
    refused(command + " --grid log", "--grid: expected one of uniform, own");
  }
  refused("sweep --run run --guidance 1,nan,2", "--guidance: expected a number from 0 to 1000, got \"nan\"");
  refused("sweep --run run --interval 0:nan", "--interval");
  refused("sample --run run --guidance-interval 0 nan", "--guidance-interval");
  refused("sample --run run --guidance-interval 0.7 0.2 --guidance 2", "--guidance-interval: begin 0.7 is after end");
  refused("sample --run run --cluster -1", "--cluster: expected");
  refused("eval-fid --run run --reference-count -1", "--reference-count: expected");
  refused("eval-fid --run run --extractor vgg", "extractor must be one of");
  refused("eval-clusters --run run --count 1", "--count: expected");
  refused("clusters --run run --shown 0", "--shown: expected");
  refused("features --run run --times 0.5,nan", "--times: expected a number from 0 to 1");
  refused("kmeans --run run --time inf", "--time: expected");
  refused("kmeans --run run --seed -1", "--seed: expected");
  refused("bench --rounds 0", "--rounds: expected");
  refused("encode --autoencoder a --in b --out c --max-broken nan", "--max-broken: expected a number from 0 to 1");
  refused("decode --in a --batch 0", "--batch: expected");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "samples"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "sweep"));
}

TEST_F(CommandLine, OneNaNInTheWeightsIsNamed) {
  train_run();
  std::string some;
  for (const auto& [name, tensor] : tensors::read_tensor_header(last()).tensors)
    if (some.empty() && name.rfind("ema.", 0) == 0) some = name.substr(4);
  spoil("ema." + some, "ema.safetensors");
  spoil("model." + some, "model.safetensors");
  for (const std::string command : {"sample", "eval-fid", "eval-clusters", "kmeans"})
    expect_failure(sdg(command + " --checkpoint ema.safetensors"), 1, "ema.safetensors: ema." + some + " holds NaN");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "samples"));
  EXPECT_EQ(sdg("sample --checkpoint model.safetensors --count 1").code, 0);  // what is not used does not matter
  expect_failure(sdg("sample --checkpoint model.safetensors --weights model --count 1"), 1, "model." + some);
  for (const std::string bad : {"ema", "model"}) {
    std::filesystem::copy_file(folder_ / (bad + ".safetensors"), last(),
                               std::filesystem::copy_options::overwrite_existing);
    expect_failure(sdg("train --run run " + test::kTiny + "--set train.steps=8"), 1, some);
  }
  auto weights = tensors::read_tensors(folder_ / "ema.safetensors");
  tensors::TensorFile public_names;
  for (const auto& [name, tensor] : weights.tensors)
    if (name.rfind("ema.", 0) == 0) public_names.tensors[name.substr(4)] = tensor;
  tensors::write_tensors(folder_ / "start.safetensors", public_names);
  expect_failure(sdg("train --run new " + test::kTiny + "--set model.weights=start.safetensors"), 1, some);
}

TEST_F(CommandLine, ImagesThatAreNotFiniteAreAnErrorAndNoPicture) {
  train_run();
  // Large, but each of them finite.
  auto file = tensors::read_tensors(last());
  for (auto& [name, tensor] : file.tensors)
    if (name.rfind("ema.", 0) == 0 && tensor.is_floating_point()) tensor = tensor.clone().fill_(1e30);
  tensors::write_tensors(folder_ / "large.safetensors", file);
  expect_failure(sdg("sample --checkpoint large.safetensors --count 2 --seed 7"), 1,
                 "image 0 is not finite (seed 7, guidance 1.5, 2 euler steps)");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "samples"));
  expect_failure(sdg("eval-fid --checkpoint large.safetensors --count 8"), 1, "not finite");
}

TEST_F(CommandLine, WhatARunCannotHonourIsRefused) {
  train_run();
  refused("sample --run run --class 3", "--class: this run knows no labels");
  refused("sample --run run --cluster 3 --guidance 0", "--cluster: guidance 0");
  refused("sample --run run --cluster 5", "cluster must be 0 to 4");
  refused("sample --run run --cluster 3 --prior uniform", "--prior: --cluster says what is drawn");
  refused("sample --run run --guidance 0 --prior-temperature 2", "--prior-temperature: guidance 0 draws without");
  refused("likelihood --run run --count 3", "--count");
  refused("likelihood --run run --guidance-interval 0 0.5", "--guidance-interval: guidance is 1");
  refused("invert --run run --pictures x.png --prior uniform", "--prior");
  refused("sample --run run --guidance 1 --guidance-interval 0.2 0.8", "--guidance-interval: guidance is 1");
  refused("sample --run run --solver dopri5 --steps 5", "--steps: dopri5");
  refused("sample --run run --solver dopri5 --grid own", "--grid: dopri5");
  refused("sample --run run --checkpoint x", "--checkpoint");
  refused("eval-fid --run run --size 16", "--size");
  EXPECT_EQ(sdg("sample --run run --cluster 3 --count 1 --guidance 0 --guidance-interval 0.5 1 --out ok").code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "samples"));
}

TEST_F(CommandLine, GuidanceOnANetworkWithoutConditionsIsRefused) {
  train_run("--set condition.source=none");
  refused("sample --run run --guidance 2", "--guidance: this run was trained without conditions");
  refused("eval-fid --run run --guidance 1.5", "--guidance: this run was trained without conditions");
  refused("sample --run run --cluster 1", "--cluster: this run was trained without conditions");
  refused("sample --run run --guidance-interval 0.1 0.5", "--guidance-interval: this run was trained without");
  EXPECT_EQ(sdg("sample --run run --guidance 1 --count 1 --out one").code, 0);
  EXPECT_EQ(sdg("sample --run run --guidance 0 --count 1 --out none").code, 0);
}

TEST_F(CommandLine, ClassesAndClustersAreNotTakenForEachOther) {
  train_run("--set condition.source=label");
  refused("sample --run run --cluster 3", "--class names one");
  refused("sample --run run --class -1", "--class: expected");
  refused("sample --run run --class 10", "--class: this run has classes 0 to 9, got 10");
  EXPECT_EQ(sdg("sample --run run --class 3 --count 1").code, 0);
}

TEST_F(CommandLine, OptionsOfDrawingBesideImagesAreRefused) {
  for (const std::string option :
       {"--count 5", "--batch 5", "--seed 1", "--steps 2", "--guidance 2", "--solver heun", "--grid own", "--cluster 1",
        "--class 1", "--map a.png", "--map-from 1", "--guidance-interval 0 1", "--weights model", "--autoencoder x"})
    refused("eval-fid --images a --reference b " + option, option.substr(0, option.find(' ')) + ": says how to draw");
}

TEST_F(CommandLine, OptionsOfAnotherPartOfACommandAreRefused) {
  for (const std::string option : {"--rounds 3", "--sinkhorn", "--early-exit", "--set train.batch=2", "--config a"})
    refused("bench --load x " + option, option.substr(0, option.find(' ')) + ": --load only loads");
  refused("bench --images 3", "--images: goes with --sinkhorn");
  for (const std::string option : {"--depth 1", "--time 0.5", "--pooling mean", "--weights model", "--run r"})
    refused("kmeans --features f.npy " + option, option.substr(0, option.find(' ')) + ": says how to look");
  for (const std::string option : {"--clusters 4", "--neighbours 3", "--seed 1", "--out f"})
    refused("features --store f.safetensors " + option, option.substr(0, option.find(' ')) + ": goes with measuring");
}
