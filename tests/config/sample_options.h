#pragma once
// Options of every type and a folder that goes away, for the tests of this folder.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sdg/config/fields.h"
#include "sdg/core/error.h"

namespace sdg::config::test {

struct EmaOptions {
  double decay = 0.9999;
  bool warmup = true;
  void visit(Fields& fields) {
    fields("decay", decay, {.help = "Decay of the averaged weights.", .min = 0, .max = 1});
    fields("warmup", warmup, {.help = "Start with a shorter memory."});
  }
};

struct TrainOptions {
  int64_t steps = 1500;
  int64_t batch = 128;
  double lr = 2e-4;
  EmaOptions ema;
  void visit(Fields& fields) {
    fields("steps", steps, {.help = "Optimizer steps.", .unit = "steps", .min = 1});
    fields.group("ema", ema, "The averaged weights");
    fields("batch", batch, {.help = "Images a step.", .unit = "images", .min = 1, .max = 65536});
    fields("lr", lr, {.help = "Peak learning rate | after warm-up.", .min = 0});
  }
};

struct DataOptions {
  std::string path = "digits.safetensors";
  std::string format = "auto";
  std::vector<int64_t> sides = {8, 16};
  int64_t offset = 0;
  double shift = 0;
  void visit(Fields& fields) {
    fields("path", path, {.help = "The images."});
    fields("format", format, {.help = "How they are stored.", .choices = {"auto", "folder", "tar", "tensors"}});
    fields("sides", sides, {.help = "Sides of the images.", .unit = "pixels", .min = 1});
    fields("offset", offset, {.help = "Any whole number."});
    fields("shift", shift, {.help = "Any number."});
  }
};

struct RunOptions {
  int64_t seed = 0;
  TrainOptions train;
  DataOptions data;
  void visit(Fields& fields) {
    fields("seed", seed, {.help = "Seed of every draw.", .min = 0});
    fields.group("train", train, "How long and how fast to train");
    fields.group("data", data, "What to train on");
  }
};

/// The message of the UsageError that `body` throws; fails the test where it throws none.
template <class Body>
std::string usage_error(Body&& body) {
  try {
    body();
  } catch (const UsageError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no UsageError was thrown";
  return "";
}

/// An empty folder of its own, which is the working folder while it lives, with SDG_CONFIGS pointing to its `shipped`.
class TemporaryFolder {
 public:
  TemporaryFolder() : before_(std::filesystem::current_path()) {
    std::string name = (std::filesystem::temp_directory_path() / "sdg_config_XXXXXX").string();
    if (!mkdtemp(name.data())) throw Error("no temporary folder");
    path_ = std::filesystem::canonical(name);
    std::filesystem::create_directories(path_ / "work");
    std::filesystem::create_directories(path_ / "shipped");
    std::filesystem::current_path(path_ / "work");
    setenv("SDG_CONFIGS", (path_ / "shipped").c_str(), 1);
  }
  ~TemporaryFolder() {
    unsetenv("SDG_CONFIGS");
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  /// Writes a file, relative to the working folder.
  void write(const std::filesystem::path& file, const std::string& text) const {
    if (file.has_parent_path()) std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path before_, path_;
};

}  // namespace sdg::config::test
