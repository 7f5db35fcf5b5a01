// The losses of the public self-guided flow matching, from given predictions, embeddings and prototypes.
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/cluster/prototype_head.h"
#include "sdg/cluster/sinkhorn.h"
#include "sdg/cluster/window_loss.h"
#include "sdg/flow/path.h"
#include "support/fixture.h"

using namespace sdg;
using test::Fixture;

namespace {

constexpr double kWindowBegin = 0.8, kWindowEnd = 0.9;  // literals of the public code, as are eps, sweeps, temperature

Tensor compare_flow(Fixture& fixture) {
  const auto x = fixture.in("x"), noise = fixture.in("noise");
  const double sigma = fixture.config.at("sigma_min");
  const auto teacher_time = at::full({}, fixture.config.at("ema_t").get<double>());
  fixture.compare("ema_x_t", flow::constant_velocity(x, noise, teacher_time, sigma).x_t);
  const auto path = flow::constant_velocity(x, noise, fixture.in("t"), sigma);
  fixture.compare("x_t", path.x_t);
  fixture.compare("u", path.velocity);
  const auto loss = flow::velocity_loss(fixture.in("pred"), path.velocity);  // [N]
  fixture.compare("loss_fm", loss);
  return loss.mean();
}

Tensor scores_of(Fixture& fixture) {
  const auto stored = fixture.in("prototypes"), embedding = fixture.in("embedding");
  cluster::PrototypeHead head(cluster::PrototypeHeadOptions{.feature_dim = stored.size(1), .clusters = stored.size(0)});
  {
    const at::NoGradGuard no_grad;
    head->prototypes->weight.copy_(stored);
  }
  head->normalize_prototypes();
  fixture.compare("prototypes_normalised", head->prototypes->weight);
  const auto scores = head->prototypes->forward(embedding).detach();
  fixture.compare("softlabel", scores);
  return scores;
}

// At patch level the public code gives row i the time of image i mod N, though the row belongs to image i / L.
Tensor public_mask(const Fixture& fixture, const Tensor& mask) {
  return fixture.config.at("patch").get<bool>() ? mask.repeat({fixture.config.at("tokens").get<int64_t>()}) : mask;
}

Tensor compare_cluster(Fixture& fixture) {
  const auto scores = scores_of(fixture).requires_grad_();
  const auto q = cluster::sinkhorn(scores).assignments;
  fixture.compare("q", q);
  fixture.compare("cluster_ids", q.argmax(1));
  const auto rows = cluster::assignment_loss(scores, q);
  fixture.compare("loss_sk_per_row", rows.detach());

  const auto mask = cluster::in_window(fixture.in("t"), kWindowBegin, kWindowEnd);  // [N]
  if (fixture.has("out.mask_aligned")) {
    fixture.compare("mask_aligned", mask.repeat_interleave(rows.size(0) / mask.size(0)));
    fixture.compare("loss_sk_aligned",
                    cluster::window_mean(rows, mask, cluster::Averaging::kBatch).detach().reshape({1}));
  }
  const auto used = public_mask(fixture, mask);
  fixture.compare("mask", used);
  const auto loss = cluster::window_mean(rows, used, cluster::Averaging::kBatch);
  fixture.compare("loss_sk", loss.detach().reshape({1}));
  loss.backward();
  fixture.compare("grad_softlabel", scores.grad());
  return loss.detach();
}

}  // namespace

TEST(SgfmLossesParity, LossesGradientsAndTheirWarmUpAreThoseOfThePublicCode) {
  test::for_each_fixture("sgfm_losses", [](Fixture& fixture) {
    const auto flow_loss = compare_flow(fixture), cluster_loss = compare_cluster(fixture);
    for (const int64_t step : fixture.config.at("steps")) {
      const double weight =
          cluster::warm_up_weight(step, fixture.config.at("ema_start_iters"), fixture.config.at("swav_w"));
      fixture.compare("loss_step" + std::to_string(step), (flow_loss + weight * cluster_loss).reshape({1}));
    }
    fixture.expect_all_compared();
  });
}
