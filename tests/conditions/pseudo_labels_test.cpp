#include "sdg/conditions/pseudo_labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/conditions/offline_kmeans.h"
#include "sdg/core/error.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/verify.h"
#include "support/log_capture.h"
#include "support/python.h"
#include "support/temporary_folder.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {
const Tensor kIds = at::tensor({3, 0, 2, 2}, at::kLong);

class PseudoLabels : public ::testing::Test {
 protected:
  std::string complaint(const std::string& name, int64_t images = 4) const {
    return test::message_of<Error>([&] { conditions::read_indices(folder_ / name, images); });
  }
  const test::TemporaryFolder folder_;
};
}  // namespace

TEST_F(PseudoLabels, AreReadFromTextCsvAndSafetensors) {
  test::write_text(folder_ / "plain.txt", "3\n0\n2\n2\n");
  test::write_text(folder_ / "table.csv", "index,cluster\r\n0,3\r\n1,0\r\n2,2\r\n3,2\r\n");
  tensors::TensorFile file;
  file.tensors["ids"] = kIds.to(at::kInt);
  file.tensors["other"] = at::zeros({2});
  tensors::write_tensors(folder_ / "ids.safetensors", file);
  for (const std::string name : {"plain.txt", "table.csv", "ids.safetensors"})
    EXPECT_TRUE(at::equal(conditions::read_indices(folder_ / name, 4), kIds)) << name;
}

TEST_F(PseudoLabels, AreReadFromNumpysOwnFiles) {
  SDG_NEEDS_PYTHON("numpy");
  const auto path = (folder_ / "ids.npy").string();
  const auto result = test::run_python(
      "import sys, numpy\nnumpy.save(sys.argv[1], numpy.array([3, 0, 2, 2], dtype=numpy.int16))\n", {path});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_TRUE(at::equal(conditions::read_indices(path, 4), kIds));
}

TEST_F(PseudoLabels, OfTheWrongKindAreNamed) {
  test::write_text(folder_ / "words.txt", "3\nzero\n");
  EXPECT_THAT(complaint("words.txt"), HasSubstr("words.txt:2: expected an index, got \"zero\""));
  test::write_text(folder_ / "few.txt", "3\n0\n");
  EXPECT_THAT(complaint("few.txt"), HasSubstr("expected one index for each of 4 images"));
  test::write_text(folder_ / "negative.txt", "3\n0\n-1\n2\n");
  EXPECT_THAT(complaint("negative.txt"), HasSubstr("must not be negative, got -1"));
  test::write_text(folder_ / "identifiers.txt", "3\n0\n1000000000000\n2\n");
  EXPECT_THAT(complaint("identifiers.txt"), HasSubstr("expected indices below 1048576, got 1000000000000 for image 2"));
  tensors::TensorFile file;
  file.tensors["ids"] = kIds.to(at::kFloat);
  tensors::write_tensors(folder_ / "floats.safetensors", file);
  EXPECT_THAT(complaint("floats.safetensors"), HasSubstr("must be integers"));
  EXPECT_THAT(complaint("absent.npy"), HasSubstr("no such file"));
}

TEST_F(PseudoLabels, ThatLookLikeIdentifiersAreWarnedOf) {
  test::write_text(folder_ / "identifiers.txt", "3\n0\n900000\n2\n");
  const test::LogCapture log;
  EXPECT_EQ(conditions::read_indices(folder_ / "identifiers.txt", 4).max().item<int64_t>(), 900000);
  ASSERT_EQ(log.lines.size(), 1U);
  EXPECT_THAT(log.lines[0], HasSubstr("identifiers.txt: the numbers of the classes go up to 900000, but only 4"));
}

TEST_F(PseudoLabels, AreWrittenWithAChecksumAndReadWithoutOne) {
  conditions::PseudoLabels labels;
  labels.ids = kIds;
  auto file = conditions::pseudo_label_file(labels, {});
  const auto path = folder_ / "ids.safetensors";
  tensors::write_tensors(path, file);
  EXPECT_TRUE(at::equal(conditions::read_indices(path, 4), kIds));
  auto bytes = test::read_text(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  test::write_text(path, bytes);
  EXPECT_THAT(complaint("ids.safetensors"), HasSubstr("damaged: the checksum"));
  file.metadata.erase("format");  // as files of before
  tensors::write_tensors(path, file);
  EXPECT_FALSE(tensors::verify_tensors(path));
  EXPECT_TRUE(at::equal(conditions::read_indices(path, 4), kIds));
}

TEST_F(PseudoLabels, GuideARunLikeTheLabelsTheyEqual) {
  const auto data = folder_ / "data.safetensors";
  test::write_tiny_data(data);
  const auto labels = tensors::read_tensors(data).at("labels");
  std::string lines;
  for (int64_t i = 0; i < labels.size(0); ++i) lines += std::to_string(labels[i].item<int64_t>()) + "\n";
  test::write_text(folder_ / "labels.txt", lines);
  auto by_file = test::tiny_config(data, "file");
  by_file.condition.file = (folder_ / "labels.txt").string();
  test::train_quietly(by_file, folder_ / "file");
  test::train_quietly(test::tiny_config(data, "label"), folder_ / "label");
  test::expect_same_tensors(checkpoint::RunFolder(folder_ / "file").last(),
                            checkpoint::RunFolder(folder_ / "label").last());
}
