#include "sdg/metrics/gaussian.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <iomanip>
#include <iostream>
#include <limits>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/weights.h"
#include "support/python.h"
#include "support/temporary_folder.h"

namespace sdg::metrics {
namespace {
Tensor draw(uint64_t step, int64_t n, int64_t d) {
  return rng::normal({11, rng::Purpose::kTest, step}, rng::consecutive(0, n), {d});
}

Gaussian gaussian_of(const Tensor& features, int64_t batch) {
  GaussianAccumulator accumulator(features.size(1));
  for (const Tensor& part : features.split(batch)) accumulator.add(part);
  return accumulator.result();
}

// Two passes, element by element.
double slow_covariance(const Tensor& x, int64_t i, int64_t j) {
  const int64_t n = x.size(0);
  double mean_i = 0, mean_j = 0, sum = 0;
  for (int64_t k = 0; k < n; ++k) mean_i += x[k][i].item<double>() / static_cast<double>(n);
  for (int64_t k = 0; k < n; ++k) mean_j += x[k][j].item<double>() / static_cast<double>(n);
  for (int64_t k = 0; k < n; ++k) sum += (x[k][i].item<double>() - mean_i) * (x[k][j].item<double>() - mean_j);
  return sum / static_cast<double>(n - 1);
}

Gaussian gaussian(const Tensor& mu, const Tensor& sigma) {
  Gaussian out;
  out.mu = mu;
  out.sigma = sigma;
  return out;
}
}  // namespace

TEST(Gaussian, CovarianceDividesByNMinusOne) {
  const Tensor x = draw(0, 23, 4);
  const Gaussian g = gaussian_of(x, 5);
  EXPECT_EQ(g.count, 23);
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 4; ++j) EXPECT_NEAR(g.sigma[i][j].item<double>(), slow_covariance(x, i, j), 1e-12);
  }
}

TEST(Gaussian, NoBitDependsOnTheBatches) {
  const Tensor x = draw(1, 700, 6);
  const Gaussian all = gaussian_of(x, 700);
  for (const int64_t batch : {1, 7, 64, 128, 300}) {
    const Gaussian parts = gaussian_of(x, batch);
    EXPECT_TRUE(at::equal(parts.mu, all.mu)) << batch;
    EXPECT_TRUE(at::equal(parts.sigma, all.sigma)) << batch;
  }
}

TEST(Gaussian, MoreMayBeAddedAfterAResult) {
  const Tensor x = draw(1, 300, 6);
  GaussianAccumulator sums(6);
  sums.add(x.slice(0, 0, 200));
  EXPECT_EQ(sums.result().count, 200);
  sums.add(x.slice(0, 200));
  EXPECT_TRUE(at::equal(sums.result().sigma, gaussian_of(x, 300).sigma));
}

TEST(Gaussian, FeaturesFarFromZeroKeepTheirDigits) {
  const Tensor x = draw(2, 200, 3).to(at::kDouble);
  const Gaussian near = gaussian_of(x, 16), far = gaussian_of(x + 1e7, 16);
  EXPECT_LT((near.sigma - far.sigma).abs().max().item<double>(), 1e-7);  // the sum 1e7 + x itself keeps 2e-9
}

TEST(Gaussian, RefusesOneSampleAndNaN) {
  GaussianAccumulator accumulator(2);
  accumulator.add(at::ones({1, 2}));
  EXPECT_THROW(accumulator.result(), Error);
  EXPECT_THROW(accumulator.add(at::full({1, 2}, std::numeric_limits<float>::quiet_NaN())), Error);
  EXPECT_THROW(accumulator.add(at::ones({1, 3})), Error);
}

TEST(Frechet, DiagonalCovariancesHaveAClosedForm) {
  const Tensor v1 = at::tensor({1.0, 4.0, 0.25}, at::kDouble), v2 = at::tensor({9.0, 1.0, 0.0}, at::kDouble);
  const Tensor m1 = at::tensor({0.0, 1.0, 2.0}, at::kDouble), m2 = at::tensor({1.0, 1.0, -1.0}, at::kDouble);
  const double expected = (1 + 0 + 9) + (4 + 1 + 0.25);  // |m1-m2|^2 + sum (sqrt v1 - sqrt v2)^2
  EXPECT_NEAR(frechet_distance(gaussian(m1, at::diag(v1)), gaussian(m2, at::diag(v2))), expected, 1e-12);
}

TEST(Frechet, IsZeroForOneAndTheSameAndSymmetric) {
  const Gaussian a = gaussian_of(draw(3, 40, 8), 40), b = gaussian_of(draw(4, 40, 8) * 1.5 + 0.2, 40);
  EXPECT_NEAR(frechet_distance(a, a), 0, 1e-12);
  EXPECT_GT(frechet_distance(a, b), 0.1);
  EXPECT_NEAR(frechet_distance(a, b), frechet_distance(b, a), 1e-10);
}

TEST(Frechet, MatchesTheKnownDistanceOfTwoSmallSets) {
  const Tensor r = at::arange(36, at::kDouble).mul(1.7).sin().mul(1.5).view({12, 3});
  const Tensor f = at::arange(30, at::kDouble).mul(1.3).add(0.4).cos().mul(1.2).add(0.3).view({10, 3});
  const double distance = frechet_distance(gaussian_of(r, 12), gaussian_of(f, 10));
  EXPECT_NEAR(distance, 0.6946219385, 1e-9);  // singular values on the two-dimensional supports, NumPy
  EXPECT_NEAR(distance, 0.6946218990, 1e-7);  // SciPy's root of the singular product loses half the digits
}

// Eigenvalues over eight decades, as features have them: half the digits of the smallest were lost by the root of an
// eigendecomposition.
TEST(Frechet, SmallEigenvaluesKeepTheirDigits) {
  const Tensor scale = at::exp(at::arange(96, at::kDouble) * -0.1);
  const Tensor rows = at::mm(draw(6, 400, 96).to(at::kDouble) * scale, draw(7, 96, 96).to(at::kDouble));
  const Gaussian a = gaussian_of(rows, 400);
  const double trace = a.sigma.trace().item<double>();
  EXPECT_LT(frechet_distance(a, a), 1e-13 * trace);
  // Twice the features: (2 - 1)^2 of the trace, and as far as their means.
  Gaussian twice = a;
  twice.mu = a.mu * 2;
  twice.sigma = a.sigma * 4;
  const double right = trace + a.mu.square().sum().item<double>();
  EXPECT_NEAR(frechet_distance(a, twice) / right, 1, 1e-13);
}

// Fewer rows than features, and features that never change: what a singular covariance leaves of zero must not come
// back as its root. The judge takes no covariance at all: tr (S_a S_b)^(1/2) is the sum of the singular values of A
// B^T.
TEST(Frechet, OfSingularCovariancesIsThatOfTheRows) {
  const auto centred = [](const Tensor& rows) {
    return (rows - rows.mean(0)) / std::sqrt(static_cast<double>(rows.size(0) - 1));
  };
  const Tensor scale = at::exp(at::arange(60, at::kDouble) * -0.1).masked_fill(at::arange(60).ge(50), 0);
  for (const auto& [n, m] : {std::pair{30, 40}, std::pair{30, 400}, std::pair{400, 30}, std::pair{400, 300}}) {
    const Tensor a = draw(8, n, 60).to(at::kDouble) * scale, b = draw(9, m, 60).to(at::kDouble) * scale + 0.1;
    const double cross = at::linalg_svdvals(at::mm(centred(a), centred(b).t())).sum().item<double>();
    const double right = (a.mean(0) - b.mean(0)).square().sum().item<double>() +
                         centred(a).square().sum().item<double>() + centred(b).square().sum().item<double>() -
                         2 * cross;
    EXPECT_NEAR(frechet_distance(gaussian_of(a, n), gaussian_of(b, m)), right, 1e-12) << n << " and " << m;
  }
}

TEST(Frechet, TheResidualIsThatOfTheDecomposition) {
  const Gaussian a = gaussian_of(draw(3, 40, 8), 40), b = gaussian_of(draw(4, 40, 8) * 1.5 + 0.2, 40);
  const auto full = frechet(a, b);
  EXPECT_EQ(full.distance, frechet_distance(a, b));
  EXPECT_GE(full.residual, 0);
  EXPECT_LT(full.residual, 1e-13);
  const Gaussian few = gaussian_of(draw(3, 5, 8), 5);  // of rank 4
  EXPECT_LT(frechet(few, b).residual, 1e-13);
  const Tensor zero = at::zeros({2}, at::kDouble);
  EXPECT_EQ(frechet(gaussian(zero, at::diag(zero)), gaussian(zero + 3, at::diag(zero))).residual, 0);
}

// The function alone, of the two files that SDG_STATISTICS names with a comma between (tools/bench_eval.py).
TEST(Frechet, DISABLED_TimeOfNamedStatistics) {
  const std::string names = std::getenv("SDG_STATISTICS") ? std::getenv("SDG_STATISTICS") : "";
  const auto comma = names.find(',');
  ASSERT_NE(comma, std::string::npos) << "SDG_STATISTICS=A.npz,B.npz";
  const Gaussian a = read_statistics(names.substr(0, comma)), b = read_statistics(names.substr(comma + 1));
  const auto start = std::chrono::steady_clock::now();
  const auto busy = std::clock();
  const double distance = frechet_distance(a, b);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const double processor = static_cast<double>(std::clock() - busy) / CLOCKS_PER_SEC;
  std::cout << std::setprecision(17) << "frechet " << took.count() << " " << processor << " " << distance << std::endl;
}

TEST(Frechet, RefusesAsymmetricAndUnequalGaussians) {
  const Tensor mu = at::zeros({2}, at::kDouble), eye = at::eye(2, at::kDouble);
  const Tensor skew = at::tensor({1.0, 0.5, 0.0, 1.0}, at::kDouble).view({2, 2});
  EXPECT_THROW(frechet_distance(gaussian(mu, skew), gaussian(mu, eye)), Error);
  EXPECT_THROW(frechet_distance(gaussian(mu, eye), gaussian(at::zeros({3}, at::kDouble), at::eye(3, at::kDouble))),
               Error);
}

TEST(Frechet, RefusesWhatIsNoCovarianceAndDistancesWithoutEnd) {
  const Tensor mu = at::zeros({2}, at::kDouble), eye = at::eye(2, at::kDouble);
  const Tensor indefinite = at::tensor({1.0, 5.0, 5.0, 1.0}, at::kDouble).view({2, 2});  // eigenvalues -4 and 6
  for (const bool first : {true, false}) {
    const auto message = test::message_of<Error>(
        [&] { frechet_distance(gaussian(mu, first ? indefinite : eye), gaussian(mu, first ? eye : indefinite)); });
    EXPECT_EQ(message, first ? "frechet: sigma of the first Gaussian must be a covariance, got an eigenvalue of -4"
                             : "frechet: sigma of the second Gaussian must be a covariance, got an eigenvalue of -4");
  }
  const auto rounded = at::tensor({1.0, 1.0001, 1.0001, 1.0}, at::kDouble).view({2, 2});  // as float16 may round
  EXPECT_NEAR(frechet_distance(gaussian(mu, rounded), gaussian(mu, at::ones({2, 2}, at::kDouble))), 0, 1e-3);
  const auto far = test::message_of<Error>([&] { frechet_distance(gaussian(mu + 1e200, eye), gaussian(mu, eye)); });
  EXPECT_NE(far.find("no finite number"), std::string::npos) << far;
}

TEST(Statistics, SurviveTheFile) {
  const test::TemporaryFolder folder;
  Gaussian written = gaussian_of(draw(5, 30, 4), 30);
  written.extractor = "digits";
  written.weights = "0123";
  written.size = "mixed";
  write_statistics(folder / "stats.npz", written);
  const Gaussian read = read_statistics(folder / "stats.npz");
  EXPECT_TRUE(at::equal(read.mu, written.mu));
  EXPECT_TRUE(at::equal(read.sigma, written.sigma));
  EXPECT_EQ(read.count, 30);
  EXPECT_EQ(read.extractor, "digits");
  EXPECT_EQ(read.weights, "0123");
  EXPECT_EQ(read.size, "mixed");
}

TEST(Statistics, FeaturesThemselvesMayStandInTheFileOrBeAllThereIs) {
  const test::TemporaryFolder folder;
  const Tensor features = draw(5, 30, 4).to(at::kFloat), logits = draw(6, 30, 3).to(at::kFloat);
  const Gaussian own = gaussian_of(features, 30);
  write_statistics(folder / "both.npz", own, {}, {features, logits});
  tensors::write_npz(folder / "rows.npz", {{"features", features}});
  for (const auto* name : {"both.npz", "rows.npz"}) {
    const Gaussian read = read_statistics(folder / name);
    EXPECT_TRUE(at::allclose(read.mu, own.mu, 1e-14)) << name;
    EXPECT_TRUE(at::allclose(read.sigma, own.sigma, 1e-12)) << name;
    EXPECT_EQ(read.count, 30) << name;
    EXPECT_TRUE(at::equal(read_rows(folder / name)->features, features)) << name;
  }
  EXPECT_TRUE(at::equal(read_rows(folder / "both.npz")->logits, logits));
  EXPECT_FALSE(read_rows(folder / "rows.npz")->logits.defined());
  write_statistics(folder / "plain.npz", own);
  EXPECT_FALSE(read_rows(folder / "plain.npz"));
  tensors::write_npz(folder / "uneven.npz", {{"features", features}, {"logits", logits.narrow(0, 0, 29)}});
  EXPECT_THROW(read_rows(folder / "uneven.npz"), Error);
  tensors::write_npz(folder / "nan.npz", {{"features", features / 0}});
  EXPECT_THROW(read_statistics(folder / "nan.npz"), Error);
}

TEST(Statistics, OfSeveralNetworksInAPickleTheNamedOnesAreTaken) {
  SDG_NEEDS_PYTHON("numpy safetensors torch");
  const test::TemporaryFolder folder;
  const auto made = test::run_python(R"(
import pickle, sys
import numpy as np, torch
from safetensors.torch import save_file
rng = np.random.default_rng(0)
def one(width):
    rows = rng.standard_normal((50, width))
    return dict(mu=rows.mean(0), sigma=np.cov(rows, rowvar=False))
stats = dict(fid=one(5), fd_dinov2=one(3))
for protocol in (2, 3, 4, 5):
    with open(f'{sys.argv[1]}/{protocol}.pkl', 'wb') as file: pickle.dump(stats, file, protocol=protocol)
save_file({f'{k}.{n}': torch.from_numpy(x) for k, v in stats.items() for n, x in v.items()}, sys.argv[1] + '/right.safetensors')
)",
                                     {folder.path().string()});
  ASSERT_EQ(made.status, 0) << made.output;
  const auto right = tensors::read_weights(folder / "right.safetensors").tensors;
  for (const auto* name : {"2.pkl", "3.pkl", "4.pkl", "5.pkl"}) {
    for (const std::string part : {"fid", "fd_dinov2"}) {
      const Gaussian read = read_statistics(folder / name, part);
      EXPECT_TRUE(at::equal(read.mu, right.at(part + ".mu"))) << name;
      EXPECT_TRUE(at::equal(read.sigma, right.at(part + ".sigma"))) << name;
    }
    const auto refusal = [&](const char* part) {
      return test::message_of<Error>([&] { read_statistics(folder / name, part); });
    };
    EXPECT_NE(refusal("digits").find("pkl: holds the statistics of fd_dinov2, fid, not of digits"), std::string::npos);
    EXPECT_NE(refusal("").find("none under the name of this network"), std::string::npos);
  }
}

TEST(Statistics, WhatIsNoCovarianceIsRefusedByItsFile) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const Tensor& mu, const Tensor& sigma, const std::string& what) {
    tensors::write_npz(folder / "s.npz", {{"mu", mu}, {"sigma", sigma}});
    const std::string message = test::message_of<Error>([&] { read_statistics(folder / "s.npz"); });
    EXPECT_NE(message.find("s.npz: "), std::string::npos) << message;
    EXPECT_NE(message.find(what), std::string::npos) << message;
  };
  const Tensor mu = at::zeros({2}, at::kDouble), eye = at::eye(2, at::kDouble);
  refused(mu / 0, eye, "must be finite");
  refused(mu, eye * std::numeric_limits<double>::infinity(), "must be finite");
  refused(mu, at::tensor({1.0, 0.5, 0.0, 1.0}, at::kDouble).view({2, 2}), "symmetric");
  refused(mu, -eye, "variance of -1");
  refused(mu, at::eye(3, at::kDouble), "sigma");
  refused(mu, at::complex(eye, eye), "sigma must be real");
}

TEST(Statistics, FileWithoutSigmaIsNamed) {
  const test::TemporaryFolder folder;
  tensors::write_npz(folder / "half.npz", {{"mu", at::zeros({4}, at::kDouble)}});
  const std::string message = test::message_of<Error>([&] { read_statistics(folder / "half.npz"); });
  EXPECT_NE(message.find("half.npz: expected arrays mu and sigma, found no sigma"), std::string::npos) << message;
}
}  // namespace sdg::metrics
