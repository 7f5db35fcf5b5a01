#include "sdg/checkpoint/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/tiny_run.h"

using namespace sdg;
using checkpoint::Audit;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {
checkpoint::CheckpointInfo made_by(const std::string& source) {
  checkpoint::CheckpointInfo info;
  test::named(info.config.condition.source, source);
  info.labels_read = source == "label";
  return info;
}
Audit::Verdict verdict(const checkpoint::CheckpointInfo& info) {
  return checkpoint::audit(info).label_free;
}
}  // namespace

TEST(Audit, OnlineAndNoneAreLabelFreeAndLabelIsNot) {
  EXPECT_EQ(verdict(made_by("online")), Audit::Verdict::kYes);
  EXPECT_EQ(verdict(made_by("none")), Audit::Verdict::kYes);
  EXPECT_EQ(verdict(made_by("label")), Audit::Verdict::kNo);
}

TEST(Audit, PseudoLabelsAreAsCleanAsWhatTheyWereMadeFrom) {
  auto info = made_by("kmeans");
  EXPECT_EQ(verdict(info), Audit::Verdict::kUnknown);
  info.pseudo_labels_from = "runs/none";
  info.pseudo_labels_free = "yes";
  EXPECT_EQ(verdict(info), Audit::Verdict::kYes);
  info.pseudo_labels_free = "no";
  EXPECT_EQ(verdict(info), Audit::Verdict::kNo);
  EXPECT_THAT(checkpoint::audit(info).reasons.front(), HasSubstr("runs/none, which saw labels"));
}

TEST(Audit, AFileOfIndicesIsAsCleanAsItSaysAndUnknownWhereItSaysNothing) {
  auto info = made_by("file");
  info.config.condition.file = "ids.safetensors";
  EXPECT_EQ(verdict(info), Audit::Verdict::kUnknown);
  EXPECT_THAT(checkpoint::audit(info).reasons.front(), HasSubstr("ids.safetensors, which nobody here made"));
  info.pseudo_labels_from = "dino.npy";
  EXPECT_EQ(verdict(info), Audit::Verdict::kUnknown);
  info.pseudo_labels_free = "yes";
  EXPECT_EQ(verdict(info), Audit::Verdict::kYes);
  info.pseudo_labels_free = "no";
  EXPECT_EQ(verdict(info), Audit::Verdict::kNo);
  EXPECT_THAT(checkpoint::audit(info).reasons.front(), HasSubstr("ids.safetensors, which says"));
}

TEST(Audit, InitialWeightsCount) {
  auto info = made_by("online");
  info.initial_weights = "imagenet256_uvit_large.pth";
  EXPECT_EQ(verdict(info), Audit::Verdict::kUnknown);
  info.initial_class_conditional = true;
  EXPECT_EQ(verdict(info), Audit::Verdict::kNo);
  info = made_by("online");
  info.converted = true;
  EXPECT_EQ(verdict(info), Audit::Verdict::kUnknown);
}

class AuditOfRuns : public ::testing::Test {
 protected:
  AuditOfRuns() : data_(folder_ / "data.safetensors") { test::write_tiny_data(data_); }
  Audit of(const std::string& run) const {
    const auto path = checkpoint::RunFolder(folder_ / run).last();
    return checkpoint::audit(checkpoint::parse_info(tensors::read_tensor_header(path), path.string()));
  }
  const test::TemporaryFolder folder_;
  const std::filesystem::path data_;
};

TEST_F(AuditOfRuns, TheChainIsKeptInTheCheckpoints) {
  test::train_quietly(test::tiny_config(data_, "label"), folder_ / "label");
  test::train_quietly(test::tiny_config(data_, "none"), folder_ / "none");
  EXPECT_EQ(of("label").label_free, Audit::Verdict::kNo);
  for (const std::string source : {"label", "none"}) {
    auto config = test::tiny_config(data_, "kmeans");
    config.condition.run = (folder_ / source).string();
    test::train_quietly(config, folder_ / ("kmeans-" + source), 5);
    test::train_quietly(config, folder_ / ("kmeans-" + source));  // after a resume it is still known
  }
  EXPECT_EQ(of("kmeans-label").label_free, Audit::Verdict::kNo);
  EXPECT_EQ(of("kmeans-none").label_free, Audit::Verdict::kYes);

  auto config = test::tiny_config(data_, "online");
  config.model.weights = checkpoint::RunFolder(folder_ / "label").last().string();
  test::train_quietly(config, folder_ / "from-label", 5);
  test::train_quietly(config, folder_ / "from-label");
  EXPECT_EQ(of("from-label").label_free, Audit::Verdict::kNo);
}
