#include "sdg/checkpoint/same_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "sdg/checkpoint/audit.h"
#include "sdg/conditions/offline_kmeans.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/core/error.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

namespace {

class SameData : public ::testing::Test {
 protected:
  SameData() : data_(folder_ / "data.safetensors") {
    test::write_tiny_data(data_);
    original_ = tensors::read_tensors(data_);
    for (auto& [name, tensor] : original_.tensors) tensor = tensor.clone();
  }
  void write(const Tensor& images, const Tensor& labels) const {
    tensors::write_tensors(data_, {{{"images", images}, {"labels", labels}}, {}});
  }
  // One or two steps, and what was said meanwhile.
  std::vector<std::string> train(const recipe::RunConfig& config, const std::string& run, int64_t last) const {
    std::vector<std::string> said;
    int64_t done = 0;
    run::Observer observer;
    observer.on_step = [&](const run::StepReport& report) { done = report.step; };
    observer.stop = [&] { return done >= last; };
    observer.on_event = [&](const std::string& line) { said.push_back(line); };
    run::train(config, checkpoint::RunFolder(folder_ / run), observer);
    return said;
  }
  std::string refusal(const recipe::RunConfig& config, const std::string& run) const {
    const auto before = test::read_text(checkpoint::RunFolder(folder_ / run).last());
    const auto message = test::message_of<Error>([&] { train(config, run, 10); });
    EXPECT_EQ(test::read_text(checkpoint::RunFolder(folder_ / run).last()), before) << "a step was trained";
    return message;
  }
  void forget(const std::string& run, const std::vector<std::string>& keys) const {
    const auto path = checkpoint::RunFolder(folder_ / run).last();
    auto file = tensors::read_tensors(path);
    for (auto& [name, tensor] : file.tensors) tensor = tensor.clone();
    for (const auto& key : keys) file.metadata.erase(key);
    fs::remove(path);
    tensors::write_tensors(path, file);
  }
  checkpoint::CheckpointInfo info(const std::string& run) const {
    const auto path = checkpoint::RunFolder(folder_ / run).last();
    return checkpoint::parse_info(tensors::read_tensor_header(path), path.string());
  }

  const test::TemporaryFolder folder_;
  const fs::path data_;
  tensors::TensorFile original_;
};

}  // namespace

TEST_F(SameData, ARunDoesNotGoOnWithOtherImages) {
  const auto images = original_.at("images"), labels = original_.at("labels");
  for (const std::string source : {"none", "label", "online", "recluster"}) {
    SCOPED_TRACE(source);
    test::write_tiny_data(data_);
    const auto config = test::tiny_config(data_, source);
    train(config, source, 2);
    write(images.flip({0}), labels.flip({0}));
    EXPECT_THAT(refusal(config, source), HasSubstr("the same images stand in another order"));
    auto replaced = images.clone();
    replaced[11] = 255 - replaced[11];
    write(replaced, labels);
    EXPECT_THAT(refusal(config, source), HasSubstr("the contents of the images differ"));
    write(at::cat({images, images.slice(0, 0, 1)}), at::cat({labels, labels.slice(0, 0, 1)}));
    EXPECT_THAT(refusal(config, source), HasSubstr("41 images, there were 40; class 0 has 11 images, it had 10"));
    test::write_tiny_data(data_);
    EXPECT_EQ(test::train_quietly(config, folder_ / source).step, 10);
  }
}

TEST_F(SameData, OtherLabelsStopOnlyARunThatTrainsOnThem) {
  train(test::tiny_config(data_, "label"), "label", 2);
  train(test::tiny_config(data_, "online"), "online", 2);
  test::write_tiny_data(data_, 1);
  EXPECT_THAT(refusal(test::tiny_config(data_, "label"), "label"), HasSubstr("images have other labels"));
  EXPECT_EQ(test::train_quietly(test::tiny_config(data_, "online"), folder_ / "online").step, 10);
}

TEST_F(SameData, MayLieElsewhere) {
  auto config = test::tiny_config(data_, "label");
  train(config, "run", 2);
  fs::rename(data_, folder_ / "moved.safetensors");
  config.data.path = (folder_ / "moved.safetensors").string();
  EXPECT_EQ(test::train_quietly(config, folder_ / "run").step, 10);
}

TEST_F(SameData, AnOlderCheckpointIsComparedByWhatItKnows) {
  const auto config = test::tiny_config(data_, "label");
  train(config, "run", 2);
  forget("run", {"data_fingerprint", "conditions", "sdg_provenance"});
  EXPECT_EQ(checkpoint::audit(info("run")).label_free, checkpoint::Verdict::kNo) << "its own older metadata say so";
  write(original_.at("images").slice(0, 0, 39), original_.at("labels").slice(0, 0, 39));
  EXPECT_THAT(refusal(config, "run"), HasSubstr("39 images, there were 40"));
  write(original_.at("images"), original_.at("labels").clamp_max(2));
  EXPECT_THAT(refusal(config, "run"), HasSubstr("class 3 gone"));
  test::write_tiny_data(data_);
  EXPECT_THAT(train(config, "run", 4), Contains(HasSubstr("older version and does not know its images")));
  EXPECT_THAT(train(config, "run", 5), Not(Contains(HasSubstr("older version")))) << "now it knows them";
}

TEST_F(SameData, StoredClustersAreTakenOnlyWhereTheyFollowFromTheSame) {
  test::train_quietly(test::tiny_config(data_, "none"), folder_ / "a");
  auto other = test::tiny_config(data_, "none");
  other.seed = 3;
  test::train_quietly(other, folder_ / "b");
  auto config = test::tiny_config(data_, "kmeans");
  config.condition.run = (folder_ / "a").string();
  const auto stored = checkpoint::RunFolder(folder_ / "run").pseudo_labels();
  // Stopped before the first checkpoint: what an earlier process left is there.
  const auto leave = [&](const recipe::RunConfig& left) {
    fs::remove_all(folder_ / "run");
    train(left, "run", 1);
    fs::remove_all(folder_ / "run/checkpoints");
    return tensors::read_tensors(stored).metadata;
  };
  const auto first = leave(config);
  EXPECT_THAT(train(config, "run", 1), Not(Contains(HasSubstr("clustering the features")))) << "the same again";

  const std::vector<std::pair<std::string, std::function<void(recipe::RunConfig&)>>> ways = {
      {"another network", [&](auto& c) { c.condition.run = (folder_ / "b").string(); }},
      {"K", [](auto& c) { c.cluster.clusters = 3; }},
      {"seed", [](auto& c) { c.seed = 9; }},
      {"tap", [](auto& c) { c.cluster.teacher_time = 0.5; }},
  };
  for (const auto& [name, change] : ways) {
    SCOPED_TRACE(name);
    leave(config);
    auto changed = config;
    change(changed);
    EXPECT_THAT(train(changed, "run", 1), Contains(HasSubstr("is made anew")));
    const auto now = tensors::read_tensors(stored);
    EXPECT_NE(now.metadata.at("recipe"), first.at("recipe"));
    EXPECT_EQ(info("run").conditions, conditions::condition_key(now.at("ids")));
    run::train(changed, checkpoint::RunFolder(folder_ / "fresh" / name), {});
    EXPECT_TRUE(
        at::equal(tensors::read_tensors(checkpoint::RunFolder(folder_ / "fresh" / name).pseudo_labels()).at("ids"),
                  now.at("ids")));
  }
  leave(config);
  auto replaced = original_.at("images").clone();
  replaced[3].zero_();
  write(replaced, original_.at("labels"));
  EXPECT_THAT(train(config, "run", 1), Contains(HasSubstr("is made anew")));
}

TEST_F(SameData, ARefusedRunLeavesNothingBehindInTheFolder) {
  test::train_quietly(test::tiny_config(data_, "none"), folder_ / "a");
  train(test::tiny_config(data_, "online"), "run", 2);
  auto config = test::tiny_config(data_, "kmeans");
  config.condition.run = (folder_ / "a").string();
  EXPECT_THAT(refusal(config, "run"), HasSubstr("condition.source"));
  EXPECT_FALSE(fs::exists(checkpoint::RunFolder(folder_ / "run").pseudo_labels()));
}

TEST_F(SameData, ARunGoesOnOnlyWithTheClustersItWasTrainedOn) {
  test::train_quietly(test::tiny_config(data_, "none"), folder_ / "a");
  auto config = test::tiny_config(data_, "kmeans");
  config.condition.run = (folder_ / "a").string();
  test::train_quietly(config, folder_ / "whole");
  const auto stored = checkpoint::RunFolder(folder_ / "run").pseudo_labels();
  train(config, "run", 2);
  fs::remove(stored);
  EXPECT_THAT(train(config, "run", 3), Contains(HasSubstr("is gone; they are made anew")));
  auto swapped = tensors::read_tensors(stored);
  swapped.tensors["ids"] = (swapped.at("ids") + 1).remainder(4);
  fs::remove(stored);
  tensors::write_tensors(stored, swapped);
  EXPECT_THAT(train(config, "run", 4), Contains(HasSubstr("holds other clusters")));
  const auto cut = test::read_text(stored);
  fs::remove(stored);
  test::write_text(stored, cut.substr(0, cut.size() - 1));
  EXPECT_THAT(train(config, "run", 5), Contains(HasSubstr("is damaged; they are made anew")));
  fs::remove(stored);
  auto other = test::tiny_config(data_, "none");
  other.seed = 3;
  fs::rename(folder_ / "a", folder_ / "kept");
  test::train_quietly(other, folder_ / "a");
  EXPECT_THAT(refusal(config, "run"), HasSubstr("anew does not give those the run was trained on"));
  fs::remove_all(folder_ / "a");
  fs::rename(folder_ / "kept", folder_ / "a");
  test::train_quietly(config, folder_ / "run");
  test::expect_same_tensors(checkpoint::RunFolder(folder_ / "whole").last(),
                            checkpoint::RunFolder(folder_ / "run").last());
}

TEST_F(SameData, AFileOfIndicesStaysWhatItWas) {
  auto config = test::tiny_config(data_, "file");
  config.condition.file = (folder_ / "ids.txt").string();
  std::string zeros, ones;
  for (int i = 0; i < 40; ++i) {
    zeros += cat(i % 4, "\n");
    ones += cat((i + 1) % 4, "\n");
  }
  test::write_text(config.condition.file, zeros);
  EXPECT_THAT(train(config, "run", 2), Contains(HasSubstr("only their number, 40, was compared")));
  EXPECT_EQ(checkpoint::audit(info("run")).label_free, checkpoint::Verdict::kUnknown);
  test::write_text(config.condition.file, ones);
  EXPECT_THAT(refusal(config, "run"), HasSubstr("gives other indices than those this run was trained on"));
  test::write_text(config.condition.file, zeros);
  EXPECT_EQ(test::train_quietly(config, folder_ / "run").step, 10);
}

TEST_F(SameData, IndicesOfAnotherDataSetAreRefused) {
  auto made = data::Fingerprint();
  made.images = 40;
  made.contents = "other";
  conditions::PseudoLabels labels;
  labels.ids = at::arange(40).remainder(4);
  labels.clusters = 4;
  tensors::write_tensors(folder_ / "ids.safetensors",
                         conditions::pseudo_label_file(labels, {"x", "yes", "", {}, made}));
  auto config = test::tiny_config(data_, "file");
  config.condition.file = (folder_ / "ids.safetensors").string();
  EXPECT_THAT(test::message_of<Error>([&] { train(config, "run", 1); }),
              ::testing::AllOf(HasSubstr("ids.safetensors was made for another data set than "),
                               HasSubstr("the contents of the images differ")));
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}
