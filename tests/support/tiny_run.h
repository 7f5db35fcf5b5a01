#pragma once
// A training run of seconds: 40 made-up 8x8 images of 4 classes, a U-ViT of a few thousand parameters, 10 steps.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "sdg/checkpoint/run_folder.h"
#include "sdg/core/rng.h"
#include "sdg/run/trainer.h"
#include "sdg/tensors/tensor_file.h"
#include "support/same_bytes.h"
#include "support/temporary_folder.h"

namespace sdg::test {

/// Sets an option of an enum's type by the name of a value.
template <class E>
void named(E& option, const std::string& name) {
  option = config::from_name<E>(name).value();
}

/// Bright quarters by class, and noise. `label_shift` changes the labels and nothing else.
inline void write_tiny_data(const std::filesystem::path& path, int64_t label_shift = 0) {
  constexpr int64_t kImages = 40, kSide = 8, kClasses = 4;
  auto images = rng::uniform({5, rng::Purpose::kTest, 0}, rng::consecutive(0, kImages), {kSide, kSide}).mul_(100);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < kImages; ++i) {
    const int64_t kind = i % kClasses;
    images[i].narrow(0, kind / 2 * 4, 4).narrow(1, kind % 2 * 4, 4).add_(140);
    // Not a renaming of the classes: which images belong together changes too.
    labels.push_back((i / (1 + label_shift) + label_shift) % kClasses);
  }
  tensors::TensorFile file;
  file.tensors["images"] = images.to(at::kByte);
  file.tensors["labels"] = at::tensor(labels, at::kLong);
  tensors::write_tensors(path, file);
}

inline recipe::RunConfig tiny_config(const std::filesystem::path& data, const std::string& source = "online") {
  recipe::RunConfig config;
  config.device = "cpu";
  config.data.path = data.string();
  config.model.dim = 16;
  config.model.depth = 3;
  config.model.heads = 2;
  config.model.patch = 4;
  named(config.condition.source, source);
  config.condition.change = 0.4;  // after 4 of the 10 steps
  config.cluster.clusters = 4;
  config.cluster.hidden = 8;
  config.train.steps = 10;
  config.train.warmup = 2;
  config.train.batch = 8;
  config.train.shard = 3;  // the last shard is smaller
  config.train.log_every = 1;
  config.train.save_every = 3;
  config.train.picture_every = 0;
  config.sample.steps = 1;
  return config;
}

/// Trains until `last` steps are done (0: to the end).
inline run::Outcome train_quietly(const recipe::RunConfig& config, const std::filesystem::path& folder,
                                  int64_t last = 0) {
  int64_t done = 0;
  run::Observer observer;
  observer.on_step = [&](const run::StepReport& report) { done = report.step; };
  observer.stop = [&] { return last > 0 && done >= last; };
  return run::train(config, checkpoint::RunFolder(folder), observer);
}

/// Every tensor of two files, bit for bit.
inline void expect_same_tensors(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto first = tensors::read_tensors(a), second = tensors::read_tensors(b);
  ASSERT_FALSE(first.tensors.empty());
  ASSERT_EQ(first.tensors.size(), second.tensors.size());
  for (const auto& [name, tensor] : first.tensors) EXPECT_TRUE(same_bytes(tensor, second.at(name))) << name;
}

/// metrics.jsonl without what depends on the clock.
inline std::string figures(const std::filesystem::path& run) {
  std::istringstream lines(test::read_text(checkpoint::RunFolder(run).metrics()));
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    auto row = nlohmann::json::parse(line);
    row.erase("images_per_second");
    row.erase("time");
    out += row.dump() + "\n";
  }
  return out;
}

}  // namespace sdg::test
