// SiT's paths: coefficients and conversions (shared/fixtures sit_paths).
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/flow/interpolant.h"
#include "support/fixture.h"

using namespace sdg;
using flow::Interpolant;

TEST(InterpolantParity, SaysWhatSitSays) {
  test::for_each_fixture("sit_paths", [](test::Fixture& fixture) {
    const auto t = fixture.in("t"), x = fixture.in("x"), said = fixture.in("model_out");
    for (const auto& [name, path] : std::map<std::string, Interpolant>{
             {"Linear", Interpolant::kLinear}, {"GVP", Interpolant::kGvp}, {"VP", Interpolant::kVp}}) {
      std::vector<Tensor> noise, score, velocity;
      std::vector<float> a, b, da, db;
      for (int64_t i = 0; i < t.size(0); ++i) {
        const auto at = flow::coefficients(path, t[i].item<double>());
        a.push_back(static_cast<float>(at.a));
        b.push_back(static_cast<float>(at.b));
        da.push_back(static_cast<float>(at.da));
        db.push_back(static_cast<float>(at.db));
        const auto of_velocity = flow::convert(flow::Target::kVelocity, said[i], x[i], at);
        noise.push_back(of_velocity.noise);
        score.push_back(of_velocity.score);
        velocity.push_back(flow::convert(flow::Target::kScore, said[i], x[i], at).velocity);
      }
      fixture.compare(name + ".alpha", at::tensor(a));
      fixture.compare(name + ".sigma", at::tensor(b));
      fixture.compare(name + ".d_alpha", at::tensor(da));
      fixture.compare(name + ".d_sigma", at::tensor(db));
      fixture.compare(name + ".noise_from_velocity", at::stack(noise));
      fixture.compare(name + ".score_from_velocity", at::stack(score));
      fixture.compare(name + ".velocity_from_score", at::stack(velocity));
    }
  });
}
