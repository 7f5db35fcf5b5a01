// What a command writes is none of what it reads, of a run, or of somebody else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/tiny_program.h"
#include "sdg/core/error.h"
#include "sdg/tensors/tensor_file.h"

using namespace sdg;
using test::expect_failure;

namespace {

class Outputs : public test::Program {
 protected:
  void SetUp() override {
    tensors::TensorFile file;
    file.tensors["features"] = at::arange(60, at::kFloat).view({20, 3});
    tensors::write_tensors(folder_ / "features.safetensors", file);
  }
  void refused(const std::string& command, const std::string& file, const std::string& what) const {
    const auto before = test::read_text(folder_ / file);
    expect_failure(sdg(command), 2, what);
    EXPECT_EQ(test::read_text(folder_ / file), before) << command;
  }
};

}  // namespace

TEST_F(Outputs, AreNotWhatTheCommandReads) {
  refused("kmeans --features features.safetensors --clusters 2 --out ./features.safetensors", "features.safetensors",
          "--out: ./features.safetensors is what --features reads");
  expect_failure(
      sdg("cluster --method sinkhorn --features features.safetensors --clusters 2 --out a.safetensors --state "
          "a.safetensors"),
      2, "is what");
  refused("kmeans --features other.npy --clusters 2 --out features.safetensors", "features.safetensors",
          "was not written by sdg");
}

TEST_F(Outputs, EndAsTheirOptionsSay) {
  train_run();
  for (const std::string command : {"sample --run run --trace way.jpg", "sample --run run --npz all.npy",
                                    "kmeans --features features.safetensors --clusters 2 --out ids.npz"}) {
    const auto name = command.substr(command.rfind(' ') + 1);
    const auto ending = command.starts_with("kmeans") ? ".safetensors" : name == "way.jpg" ? ".png" : ".npz";
    expect_failure(sdg(command), 2, cat(": the name must end in ", ending, ", got ", name));
    EXPECT_FALSE(std::filesystem::exists(folder_ / name)) << command;
  }
  // A folder is none, whatever its name; said before any work.
  std::filesystem::create_directory(folder_ / "folder.safetensors");
  for (const std::string name : {"run", "folder.safetensors"})
    expect_failure(sdg("kmeans --features features.safetensors --clusters 2 --out " + name), 2,
                   "--out: expected a file to write, got the folder " + name);
  expect_failure(sdg("kmeans --features features.safetensors --clusters 2 --out ''"), 2, "must end in .safetensors");
  EXPECT_EQ(sdg("kmeans --features features.safetensors --clusters 2 --out IDS.SAFETENSORS").code, 0);
}

TEST_F(Outputs, AreNoFilesOfARun) {
  train_run();
  const std::string checkpoint = "run/checkpoints/last.safetensors", config = "run/config.yaml";
  refused("convert " + checkpoint + " " + checkpoint, checkpoint, "out: " + checkpoint + " is what in reads");
  refused("convert run " + checkpoint + " --to public", checkpoint, "a file that a run needs");
  refused("kmeans --run run --clusters 2 --out " + checkpoint, checkpoint, "a file that a run needs");
  refused("sample --run run --npz " + checkpoint, checkpoint, "a file that a run needs");
  refused("sample --run run --npz run/checkpoints/new.safetensors", checkpoint, "a file that a run needs");
  refused("sample --run run --trace " + config, config, "a file that a run needs");
  refused("eval --run run --metrics fid --save " + config, config, "a file that a run needs");
}

// Before any work, which would be lost.
TEST_F(Outputs, GoIntoFoldersThatAreThere) {
  expect_failure(sdg("eval --run nowhere --metrics fid --save nofolder/e.json"), 2, "--save: there is no folder ");
  expect_failure(sdg("eval-fid --run nowhere --save-statistics nofolder/e.npz"), 2, "--save-statistics: there is no");
  expect_failure(sdg("kmeans --features features.safetensors --clusters 2 --out nofolder/k.safetensors"), 2,
                 "nofolder to write k.safetensors into");
}

TEST_F(Outputs, OfBeforeAreReplaced) {
  const std::string command = "kmeans --features features.safetensors --clusters 2 --out k.safetensors";
  EXPECT_EQ(sdg(command).code, 0);
  EXPECT_EQ(sdg(command).code, 0);
  test::write_text(folder_ / "empty.safetensors", "");
  EXPECT_EQ(sdg("kmeans --features features.safetensors --clusters 2 --out empty.safetensors").code, 0);
}
