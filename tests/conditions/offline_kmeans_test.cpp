#include "sdg/conditions/offline_kmeans.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/checkpoint/audit.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/core/error.h"
#include "sdg/network/assign.h"
#include "support/python.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {
// Four groups by their first two columns; the third is as large as it is meaningless.
Tensor groups(int64_t each) {
  const auto planted = at::arange(4).repeat({each});
  auto x = 0.05 * rng::normal({2, rng::Purpose::kTest, 0}, rng::consecutive(0, 4 * each), {3});
  x.select(1, 0) += planted.remainder(2);
  x.select(1, 1) += planted.div(2, "floor");
  x.select(1, 2) *= 1e4;
  return x;
}
bool finds_groups(const Tensor& ids) {
  for (int64_t i = 4; i < ids.size(0); ++i) {
    if (!at::equal(ids[i], ids[i % 4])) return false;
  }
  return std::get<0>(at::_unique(ids)).numel() == 4;
}
conditions::OfflineKmeans into(int64_t clusters) {
  conditions::OfflineKmeans how;
  how.kmeans.clusters = clusters;
  return how;
}
}  // namespace

TEST(OfflineKmeans, StandardizingKeepsALargeColumnFromDeciding) {
  auto how = into(4);
  const auto x = groups(100);
  const auto inertia = conditions::cluster_features(x, how).inertia;
  how.standardize = false;
  const auto raw = conditions::cluster_features(x, how);
  EXPECT_FALSE(finds_groups(raw.ids)) << "nothing had to be standardised: tests nothing";
  EXPECT_GT(raw.inertia, inertia);
  const auto two = x.slice(1, 0, 2).contiguous();
  EXPECT_TRUE(finds_groups(conditions::cluster_features(two, into(4)).ids));
}

TEST(OfflineKmeans, UnitRowsLeaveOnlyDirections) {
  auto x = groups(50).slice(1, 0, 2) * 2 - 1;  // four directions
  x = x * at::linspace(1, 50, 200).unsqueeze(1);
  auto how = into(4);
  how.standardize = false;
  EXPECT_FALSE(finds_groups(conditions::cluster_features(x, how).ids)) << "lengths did not matter: tests nothing";
  how.l2 = true;
  EXPECT_TRUE(finds_groups(conditions::cluster_features(x, how).ids));
}

TEST(OfflineKmeans, FeaturesAreReadFromSafetensorsAndNumpy) {
  SDG_NEEDS_PYTHON("numpy");
  const test::TemporaryFolder folder;
  const auto x = groups(3);
  tensors::TensorFile file;
  file.tensors["features"] = x;
  file.tensors["other"] = at::zeros({1});
  tensors::write_tensors(folder / "a.safetensors", file);
  EXPECT_TRUE(at::equal(conditions::read_features(folder / "a.safetensors"), x));
  const auto npy = (folder / "b.npy").string();
  const auto made = test::run_python(
      "import sys, numpy\nnumpy.save(sys.argv[1], numpy.arange(6, dtype=numpy.float16).reshape(3, 2))\n", {npy});
  ASSERT_EQ(made.status, 0) << made.output;
  EXPECT_TRUE(at::equal(conditions::read_features(npy), at::arange(6, at::kFloat).view({3, 2})));
  const auto complaint = [&](const char* name, const Tensor& tensor) {
    tensors::TensorFile bad;
    bad.tensors["features"] = tensor;
    tensors::write_tensors(folder / name, bad);
    return test::message_of<Error>([&] { conditions::read_features(folder / name); });
  };
  EXPECT_THAT(complaint("flat.safetensors", x.flatten()), HasSubstr("[N, F]"));
  EXPECT_THAT(complaint("nan.safetensors", x / 0), HasSubstr("not finite"));
  EXPECT_THAT(test::message_of<Error>([&] { conditions::read_features(folder / "no.npy"); }),
              HasSubstr("no such file"));
}

// The chain: what the clusters were made from is known in the run that was trained on them.
TEST(OfflineKmeans, TheAuditFollowsAFileToWhatItWasMadeFrom) {
  const test::TemporaryFolder folder;
  const auto data = folder / "data.safetensors";
  test::write_tiny_data(data);
  conditions::PseudoLabels labels{at::arange(40).remainder(4), 4, 1.5, 3};
  for (const auto& [free, verdict] : {std::pair{"yes", checkpoint::Audit::Verdict::kYes},
                                      {"no", checkpoint::Audit::Verdict::kNo},
                                      {"", checkpoint::Audit::Verdict::kUnknown}}) {
    const auto path = folder / "ids.safetensors";
    tensors::write_tensors(path, conditions::pseudo_label_file(labels, {"runs/none", free, "depth 1"}));
    EXPECT_EQ(conditions::pseudo_label_origin(path).tapped, "depth 1");
    EXPECT_TRUE(at::equal(conditions::read_indices(path, 40), labels.ids));
    auto config = test::tiny_config(data, "file");
    config.condition.file = path.string();
    const auto run = folder / (std::string("run-") + free);
    test::train_quietly(config, run, 5);
    test::train_quietly(config, run);
    const auto last = checkpoint::RunFolder(run).last();
    const auto info = checkpoint::parse_info(tensors::read_tensor_header(last), last.string());
    EXPECT_EQ(checkpoint::audit(info).label_free, verdict) << free;
    EXPECT_EQ(info.pseudo_labels_from, "runs/none");
  }
  test::write_text(folder / "ids.txt", "1\n");
  EXPECT_EQ(conditions::pseudo_label_origin(folder / "ids.txt").made_from, "");
}
