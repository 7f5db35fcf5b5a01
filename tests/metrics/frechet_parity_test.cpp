#include <gtest/gtest.h>

#include "sdg/metrics/gaussian.h"
#include "support/fixture.h"

namespace sdg::metrics {
namespace {
Tensor scalar(double x) {
  return at::full({1}, x, at::kDouble);
}

Gaussian gaussian_of(const Tensor& features) {
  GaussianAccumulator accumulator(features.size(1));
  for (const Tensor& batch : features.split(7)) accumulator.add(batch);
  return accumulator.result();
}
}  // namespace

TEST(FrechetParity, DistancesAreExactAndWithinPublicToolsOwnError) {
  test::for_each_fixture("frechet", [](test::Fixture& f) {
    for (const std::string name : f.config.at("cases")) {
      const Gaussian a{f.in(name + ".mu1"), f.in(name + ".sigma1"), 0, {}, {}, {}},
          b{f.in(name + ".mu2"), f.in(name + ".sigma2"), 0, {}, {}, {}};
      const Tensor distance = scalar(frechet_distance(a, b));
      f.compare(name + ".exact", distance);
      for (const char* tool : {".pytorch_fid", ".torchmetrics"}) {
        if (f.has("out." + name + tool)) f.compare(name + tool, distance);
      }
    }
    for (const std::string name : f.config.at("features")) {
      const Gaussian a = gaussian_of(f.in(name + ".a")), b = gaussian_of(f.in(name + ".b"));
      f.compare(name + ".a.mu", a.mu);
      f.compare(name + ".a.sigma", a.sigma);
      f.compare(name + ".b.mu", b.mu);
      f.compare(name + ".b.sigma", b.sigma);
      const Tensor distance = scalar(frechet_distance(a, b));
      f.compare(name + ".fd", distance);
      f.compare(name + ".fd_exact", distance);
    }
    // pytorch-fid's fallback for a matrix root that failed (1e-6 I added inside the root, off by O(1e-3)): which of its
    // branches ran and what the other would have given. Symmetric eigenvalues cannot fail that way, so there is no such
    // branch here.
    f.expect_all_compared([](const std::string& output) {
      return output.ends_with(".eps_branch") || output.ends_with(".singular_branch");
    });
  });
}
}  // namespace sdg::metrics
