#include "sdg/conditions/feature_clusters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "cludi/planted.h"
#include "sdg/core/error.h"
#include "sdg/metrics/clustering.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/torch_file.h"
#include "support/log_capture.h"
#include "support/temporary_folder.h"

using namespace sdg;
using conditions::ClusterMethod;
using conditions::FeatureClustering;
using ::testing::HasSubstr;

namespace {

const Tensor& rows() {
  static const auto x = test::planted_rows(4, 20, 16);
  return x;
}

FeatureClustering into_four(ClusterMethod method) {
  FeatureClustering out;
  out.method = method;
  out.clusters = 4;
  out.sinkhorn.epochs = 60;
  out.sinkhorn.batch = 40;
  out.sinkhorn.dim = 8;
  out.sinkhorn.lr = 5e-3;
  out.sinkhorn.noise_high = 0.4;
  out.cludi.train.epochs = 2;
  out.cludi.train.copies = 2;
  out.cludi.train.steps = 2;
  out.cludi.train.batch = 40;
  out.cludi.model.embedding = 8;
  out.cludi.answer.steps = 2;
  out.cludi.answer.draws = 2;
  return out;
}

std::string error_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "nothing";
}

}  // namespace

TEST(FeatureClusters, KmeansAnswersWithCentroidsAndSureProbabilities) {
  const auto options = into_four(ClusterMethod::kKmeans);
  conditions::PseudoLabels figures;
  const auto found = conditions::kmeans_answer(rows(), options, {}, Reducer::local(), &figures);
  EXPECT_NEAR(metrics::cluster_scores(test::planted_labels(4, 20), found.ids).nmi, 1, 1e-12);
  const auto sure = conditions::sure_probabilities(found.ids, 4);
  EXPECT_TRUE(at::equal(sure.argmax(1), found.ids));
  EXPECT_TRUE(at::equal(sure.sum(1), at::ones({80})));
  const auto own = found.prototypes.index_select(0, found.ids);
  EXPECT_NEAR((found.embeddings - own).square().sum().item<double>(), figures.inertia, 1e-3);
}

TEST(FeatureClusters, ABalancedHeadFindsPlantedClusters) {
  const auto learner = conditions::learner_for(rows(), into_four(ClusterMethod::kSinkhorn));
  while (learner->done() < learner->steps()) learner->advance();
  const auto found = learner->answer(rows());
  EXPECT_GT(metrics::cluster_scores(test::planted_labels(4, 20), found.ids).nmi, 0.9);
  EXPECT_LT((found.embeddings.norm(2, {1}) - 1).abs().max().item<double>(), 1e-5);
  EXPECT_TRUE(at::equal(at::mm(found.embeddings, found.prototypes.t()).argmax(1), found.ids));
}

TEST(FeatureClusters, StoredLearnersGoOnBitForBit) {
  for (const auto method : {ClusterMethod::kSinkhorn, ClusterMethod::kCludi}) {
    const test::TemporaryFolder folder;
    const auto options = into_four(method);
    const auto key = conditions::key_of(rows());
    const auto whole = conditions::learner_for(rows(), options), half = conditions::learner_for(rows(), options),
               rest = conditions::learner_for(rows(), options);
    while (whole->done() < 4) whole->advance();
    while (half->done() < 2) half->advance();
    conditions::write_state(folder / "state.safetensors", *half, options, key);
    EXPECT_EQ(conditions::resume_state(folder / "state.safetensors", *rest, options, key), 2);
    while (rest->done() < 4) rest->advance();
    const auto a = whole->state(), b = rest->state();
    for (const auto& [name, tensor] : a) EXPECT_TRUE(at::equal(tensor, b.at(name))) << name;

    // Other features and other options are refused; how the answer is drawn is free, and so is another method's.
    auto other = options;
    other.cludi.answer.draws = 3;
    other.kmeans.restarts = 3;
    EXPECT_EQ(conditions::resume_state(folder / "state.safetensors", *rest, other, key), 2);
    other.clusters = 3;
    EXPECT_THAT(error_of([&] { conditions::resume_state(folder / "state.safetensors", *rest, other, key); }),
                HasSubstr("was begun with clusters 4, not 3"));
    const auto moved = conditions::key_of(rows() + 1);
    EXPECT_THAT(error_of([&] { conditions::resume_state(folder / "state.safetensors", *rest, options, moved); }),
                HasSubstr("was begun with other features"));
    EXPECT_THAT(error_of([&] { conditions::options_of_state(folder / "state.safetensors", 9); }),
                HasSubstr("learned on features of width 16, got 9"));
    EXPECT_THAT(error_of([&] { conditions::learner_for(rows(), options)->answer(rows().slice(1, 0, 9)); }),
                HasSubstr("trained on features of width 16, got [80, 9]"));
  }
}

TEST(FeatureClusters, FeaturesThatCannotBeClusteredAreNamed) {
  const auto message = [](const Tensor& x, int64_t clusters) {
    return error_of([&] { conditions::check_features(x, clusters, "f.npy"); });
  };
  EXPECT_EQ(message(rows(), 81), "f.npy: 81 clusters of 80 rows: expected at most one a row");
  EXPECT_THAT(message(rows(), 1), HasSubstr("f.npy: one cluster says nothing"));
  EXPECT_EQ(message(rows().slice(0, 0, 3).repeat({5, 1}), 4),
            "f.npy: only 3 of the 15 rows are different, too few for 4 clusters");
  auto broken = rows().clone();
  broken[7][2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(message(broken, 4), "f.npy: row 7 holds NaN or infinity (1 of 80 rows do)");
  auto zero = rows().clone();
  zero[5].zero_();
  zero[9].zero_();
  const test::LogCapture log;
  EXPECT_EQ(message(zero, 4), "nothing");
  EXPECT_THAT(log.lines, ::testing::ElementsAre(
                             HasSubstr("f.npy: 2 of 80 rows are zero (the first is row 5): they have no direction")));
}

TEST(FeatureClusters, FeaturesComeFromEveryKindOfFile) {
  const test::TemporaryFolder folder;
  const auto x = rows().contiguous();
  tensors::write_tensors(folder / "x.safetensors", {{{"features", x}, {"labels", at::zeros({80}, at::kLong)}}, {}});
  tensors::write_torch(folder / "x.pth", {{"features", x}, {"labels", at::zeros({80}, at::kLong)}});
  for (const auto* name : {"x.safetensors", "x.pth"})
    EXPECT_TRUE(at::equal(conditions::read_features(folder / name), x)) << name;
  tensors::write_torch(folder / "two.pth", {{"a", x}, {"b", x}});
  EXPECT_THAT(error_of([&] { conditions::read_features(folder / "two.pth"); }),
              HasSubstr("expected a tensor `features` or only one tensor, it has 2"));
}
