#include "sdg/sample/denoiser.h"

#include <gtest/gtest.h>
#include <torch/types.h>

using namespace sdg;

namespace {
constexpr double kSigma = 0.05;

Tensor values(int64_t key) {
  return at::sin(at::arange(24, at::kDouble) * (0.7 + static_cast<double>(key))).view({2, 3, 2, 2});
}
}  // namespace

// A draw of the path knows all its parts: the views of its velocity are these.
TEST(Views, AreThePartsOfAPointOfThePath) {
  const auto x = values(1), eps = values(2);
  for (const double t : {0.0, 0.3, 0.85, 1.0}) {
    const auto point = flow::constant_velocity(x, eps, at::full({2}, t, at::kDouble), kSigma);
    const sample::Denoiser perfect([&](const Tensor&, double) { return point.velocity; }, kSigma);
    const auto views = perfect.at(point.x_t, t);
    EXPECT_TRUE(at::equal(views.velocity(), point.velocity));
    EXPECT_TRUE(at::allclose(views.data(), x, 1e-12, 1e-12)) << t;
    EXPECT_TRUE(at::allclose(views.noise(), eps, 1e-12, 1e-12)) << t;
    EXPECT_TRUE(at::allclose(views.score(), -eps / (1 - (1 - kSigma) * t), 1e-10, 1e-10)) << t;
    EXPECT_TRUE(at::allclose(t * views.data() + perfect.noise_share(t) * views.noise(), point.x_t, 1e-12, 1e-12)) << t;
  }
}

TEST(Views, AskTheNetworkOnceAndWorkEachFormOutOnce) {
  int64_t calls = 0;
  const sample::Denoiser denoiser([&](const Tensor& x_t, double) { return ++calls, -x_t; });
  const auto views = denoiser.at(values(1), 0.4);
  EXPECT_EQ(calls, 1);
  const auto* data = views.data().unsafeGetTensorImpl();
  EXPECT_EQ(views.data().unsafeGetTensorImpl(), data);
  EXPECT_EQ(views.noise().unsafeGetTensorImpl(), views.noise().unsafeGetTensorImpl());
  EXPECT_EQ(views.score().unsafeGetTensorImpl(), views.score().unsafeGetTensorImpl());
  EXPECT_EQ(calls, 1);
}
