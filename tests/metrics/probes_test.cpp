#include "sdg/metrics/probes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/tensors/tensor_file.h"
#include "support/python.h"

namespace sdg::metrics {
namespace {

Tensor normal(int64_t n, int64_t width, uint64_t seed) {
  return rng::normal({seed, rng::Purpose::kTest, 0}, rng::consecutive(0, n), {width});
}

// Gaussians of deviation 1 around `distance` times the first unit vectors; labels i % classes.
struct Planted {
  Tensor x, y;
};
Planted planted(int64_t n, int64_t width, int64_t classes, double distance, uint64_t seed) {
  Planted out{normal(n, width, seed), at::arange(n).remainder(classes)};
  for (int64_t i = 0; i < n; ++i) out.x[i][i % classes] += distance;
  return out;
}

double share_right(const Tensor& named, const Tensor& truth) {
  return named.eq(truth).to(at::kDouble).mean().item<double>();
}

// The votes of one query, one number after the other.
int64_t knn_twin(const Tensor& features, const Tensor& labels, const Tensor& query, int64_t k, double temperature) {
  std::vector<std::pair<double, int64_t>> near;
  const auto q = query.to(at::kDouble);
  for (int64_t i = 0; i < features.size(0); ++i) {
    const auto row = features[i].to(at::kDouble);
    double dot = 0, a = 0, b = 0;
    for (int64_t d = 0; d < row.size(0); ++d) {
      const double x = row[d].item<double>(), y = q[d].item<double>();
      dot += x * y;
      a += x * x;
      b += y * y;
    }
    near.emplace_back(dot / std::sqrt(a * b), labels[i].item<int64_t>());
  }
  std::sort(near.rbegin(), near.rend());
  std::map<int64_t, double> votes;
  for (int64_t i = 0; i < k; ++i)
    votes[near[static_cast<size_t>(i)].second] += std::exp(near[static_cast<size_t>(i)].first / temperature);
  return std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

}  // namespace

TEST(Knn, VotesAsAScalarTwinDoes) {
  const auto train = planted(60, 7, 4, 1.0, 1), test = planted(40, 7, 4, 1.0, 2);
  for (const int64_t k : {1, 5, 20}) {
    KnnOptions options;
    options.neighbours = k;
    options.temperature = k == 20 ? 0.5 : 0.07;
    const auto named = knn_predict(train.x * 3, train.y, test.x, options);
    for (int64_t i = 0; i < 40; ++i)
      EXPECT_EQ(named[i].item<int64_t>(), knn_twin(train.x, train.y, test.x[i], k, options.temperature))
          << k << " " << i;
  }
}

TEST(Knn, LeavingOneOutIsPredictingFromTheOthers) {
  const auto all = planted(30, 5, 3, 1.0, 3);
  KnnOptions options;
  options.neighbours = 4;
  const auto named = knn_leave_one_out(all.x, all.y, options);
  for (int64_t i = 0; i < 30; ++i) {
    const auto others = at::cat({at::arange(i), at::arange(i + 1, 30)});
    const auto alone =
        knn_predict(all.x.index_select(0, others), all.y.index_select(0, others), all.x.slice(0, i, i + 1), options);
    EXPECT_EQ(named[i].item<int64_t>(), alone.item<int64_t>()) << i;
  }
}

TEST(Knn, HasFewerNeighboursWhereThereAreFewerRows) {
  const auto x = at::tensor({1.F, 0.F, 0.F, 1.F}).view({2, 2});
  EXPECT_EQ(knn_predict(x, at::tensor({7, 3}, at::kLong), x)[0].item<int64_t>(), 7);
  EXPECT_THROW(knn_leave_one_out(x.slice(0, 0, 1), at::zeros({1}, at::kLong)), Error);
  EXPECT_THROW(knn_predict(x * NAN, at::tensor({7, 3}, at::kLong), x), Error);
}

// Leave-one-out k-NN (20, T .07) by another program: 93.7 % on these features of ImageNet photos.
TEST(Knn, GivesThePublishedFigureOnStoredFeatures) {
  const auto path =
      std::filesystem::path(SDG_SOURCE_DIR) / ".." / "shared" / "data" / "imagenet50_dino_features.safetensors";
  if (!std::filesystem::exists(path)) {
    std::cout << "SKIPPED: no " << path << std::endl;
    GTEST_SKIP() << "no " << path;
  }
  const auto file = tensors::read_tensors(path);
  const auto labels = file.at("labels");
  EXPECT_NEAR(share_right(knn_leave_one_out(file.at("features"), labels), labels), 0.937, 0.0006);
}

TEST(LinearProbe, ReachesTheBayesAccuracyOfTwoGaussians) {
  // Classes a distance 2 apart in one direction of six: the best rule is right with probability Phi(1) = 0.8413.
  auto train = planted(4000, 6, 2, 0, 4), test = planted(4000, 6, 2, 0, 5);
  for (auto* each : {&train, &test}) each->x.select(1, 2).add_(each->y.to(at::kFloat) * 2);
  const auto probe = linear_probe(train.x, train.y, test.x, test.y);
  EXPECT_TRUE(probe.converged);
  EXPECT_NEAR(probe.accuracy, 0.8413, 0.02);
  EXPECT_NEAR(probe.train_accuracy, 0.8413, 0.02);
}

TEST(LinearProbe, SeparatesWhatIsSeparableAndGuessesRandomLabelsByChance) {
  const auto train = planted(300, 12, 4, 12, 6), test = planted(200, 12, 4, 12, 7);
  EXPECT_EQ(linear_probe(train.x, train.y, test.x, test.y).accuracy, 1);
  const auto probe = linear_probe(normal(600, 12, 8), train.y.repeat({2}), normal(2000, 12, 9), test.y.repeat({10}));
  EXPECT_NEAR(probe.accuracy, 0.25, 0.05);
}

TEST(LinearProbe, DoesNotDependOnScaleShiftOrHowTheSpanIsSolved) {
  const auto train = planted(50, 90, 3, 2, 10), test = planted(30, 90, 3, 2, 11);
  const auto few = linear_probe(train.x, train.y, test.x, test.y);  // 90 <= 2 * 50: in the features themselves
  const auto moved = linear_probe(train.x * 5 + 3, train.y, test.x * 5 + 3, test.y);
  EXPECT_NEAR(few.loss, moved.loss, 1e-6);
  const auto idle = linear_probe(at::cat({train.x, at::full({50, 1}, 3)}, 1), train.y,
                                 at::cat({test.x, at::full({30, 1}, 3)}, 1), test.y);
  EXPECT_NEAR(few.loss, idle.loss, 1e-9) << "a column that is the same everywhere says nothing";
  // Each column twice is C doubled; 180 columns are solved in the span of the rows.
  LinearProbeOptions halved;
  halved.strength = 0.5;
  const auto wide = linear_probe(at::cat({train.x, train.x}, 1), train.y, at::cat({test.x, test.x}, 1), test.y, halved);
  EXPECT_NEAR(few.loss, wide.loss, 1e-6);
  EXPECT_NEAR(few.test_loss, wide.test_loss, 1e-4);
  EXPECT_EQ(few.accuracy, wide.accuracy);
}

TEST(LinearProbe, KnowsOnlyTrainingClassesAndNeedsTwo) {
  const auto train = planted(60, 5, 3, 8, 12);
  auto labels = train.y * 10 + 5;  // gaps in the numbers
  auto truth = labels.clone();
  truth.slice(0, 0, 30).fill_(6);
  EXPECT_EQ(linear_probe(train.x, labels, train.x, labels).accuracy, 1);
  const auto probe = linear_probe(train.x, labels, train.x, truth);
  EXPECT_EQ(probe.accuracy, 0.5);
  EXPECT_TRUE(std::isfinite(probe.test_loss));
  EXPECT_THROW(linear_probe(train.x, at::ones({60}, at::kLong), train.x, labels), Error);
}

TEST(LinearProbe, FindsWhatScikitLearnFinds) {
  SDG_NEEDS_PYTHON("numpy safetensors sklearn");
  struct Case {
    int64_t train, width, classes;
    double distance, strength;
  };
  const std::vector<Case> cases{{240, 20, 5, 1.5, 1}, {80, 400, 4, 6, 1}, {150, 30, 3, 1, 0.01}};
  const auto set = [](const Case& each, uint64_t seed) {
    return planted(seed == 13 ? each.train : 500, each.width, each.classes, each.distance, seed);
  };
  const test::TemporaryFolder folder;
  std::vector<std::string> arguments;  // one interpreter for all: its imports take the time
  for (const auto& each : cases) {
    const auto known = set(each, 13), unknown = set(each, 14);
    tensors::TensorFile file;
    file.tensors = {{"x", known.x}, {"y", known.y}, {"test_x", unknown.x}, {"test_y", unknown.y}};
    const auto path = folder / (std::to_string(arguments.size()) + ".safetensors");
    tensors::write_tensors(path, file);
    arguments.insert(arguments.end(), {path.string(), std::to_string(each.strength)});
  }
  const auto result = test::run_python(R"(
import sys, numpy as np
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
for path, C in zip(sys.argv[1::2], map(float, sys.argv[2::2])):
    d = load_file(path)
    s = StandardScaler().fit(d["x"].astype(np.float64))
    x, t = s.transform(d["x"].astype(np.float64)), s.transform(d["test_x"].astype(np.float64))
    m = LogisticRegression(C=C, tol=1e-8, max_iter=20000).fit(x, d["y"])
    loss = log_loss(d["y"], m.predict_proba(x)) + (m.coef_ ** 2).sum() / (2 * C * len(x))
    print("FOUND", m.score(t, d["test_y"]), loss, log_loss(d["test_y"], m.predict_proba(t)))
)",
                                       arguments);
  ASSERT_EQ(result.status, 0) << result.output;
  size_t at = 0;
  for (const auto& each : cases) {
    at = result.output.find("FOUND", at);
    ASSERT_NE(at, std::string::npos) << result.output;
    double accuracy = 0, loss = 0, test_loss = 0;
    ASSERT_EQ(std::sscanf(result.output.c_str() + at++, "FOUND %lf %lf %lf", &accuracy, &loss, &test_loss), 3);
    LinearProbeOptions options;
    options.strength = each.strength;
    const auto known = set(each, 13), unknown = set(each, 14);
    const auto probe = linear_probe(known.x, known.y, unknown.x, unknown.y, options);
    EXPECT_TRUE(probe.converged);
    EXPECT_NEAR(probe.loss, loss, 1e-5 * loss) << each.width;
    EXPECT_NEAR(probe.test_loss, test_loss, 1e-3 * test_loss) << each.width;
    EXPECT_NEAR(probe.accuracy, accuracy, 0.005) << each.width;
    EXPECT_LT(probe.accuracy, 0.99) << "too easy to tell anything";
  }
}

}  // namespace sdg::metrics
