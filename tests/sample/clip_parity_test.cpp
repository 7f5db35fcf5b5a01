// Dynamic thresholding of Self-Guided Diffusion (shared/fixtures sg_samplers).
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/sample/guidance.h"
#include "support/fixture.h"

using namespace sdg;

TEST(ClipParity, ThresholdsAsThePublicCodeDoes) {
  test::for_each_fixture("sg_samplers", [](test::Fixture& fixture) {
    const auto data = fixture.in("x0_big");
    const auto x = at::zeros_like(data);
    // At x_t = 0 and t = 0.5 the prediction of the data is the velocity's half (s = 0).
    const sample::Denoiser network([&](const Tensor&, double) { return data * 2; }, 0);
    for (const auto* percentile : {"0.5", "0.9", "0.995"}) {
      const auto bounded = sample::clipped(network, sample::Clip::kDynamic, std::stod(percentile)).at(x, 0.5).data();
      fixture.compare(std::string("clip_dtp") + percentile, bounded);
    }
  });
}
