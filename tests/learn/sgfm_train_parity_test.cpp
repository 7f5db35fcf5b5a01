// Several steps of training in paper mode against the public trainer (shared/fixtures sgfm_train_image, _patch).
#include <gtest/gtest.h>

#include <cmath>

#include "generate/sgfm_network.h"
#include "sdg/core/rng.h"
#include "sdg/learn/learner.h"

using namespace sdg;

namespace {

// The shipped paper mode, with this fixture's numbers.
recipe::RunConfig config_of(const test::Fixture& fixture, bool patch_level) {
  const auto& stored = fixture.config;
  auto config = recipe::load_config(SDG_SOURCE_DIR "/configs/digits.yaml," SDG_SOURCE_DIR "/configs/paper" +
                                        std::string(patch_level ? "-patch" : "") + ".yaml",
                                    {});
  config.data.size = stored.at("model").at("img_size");
  config.data.channels = stored.at("model").at("in_chans");
  config.cluster.clusters = stored.at("model").at("nmb_prototypes");
  config.cluster.teacher_time = stored.at("ema_t");
  config.cluster.weight = stored.at("swav_w");
  config.condition.drop = stored.at("model").at("p_uncond");
  config.flow.sigma_min = stored.at("sigma_min");
  config.train.steps = stored.at("n_steps");
  config.train.warmup = stored.at("warmup");
  config.train.lr = stored.at("lr");
  config.train.weight_decay = stored.at("weight_decay");
  config.train.ema = stored.at("ema_rate");
  config.train.shard = 3;  // not a divisor of the batch
  config.condition.change = stored.at("ema_start_iters").get<double>() / stored.at("n_steps").get<double>();
  return config;
}

void compare_network(test::Fixture& fixture, network::Network& network, const std::string& prefix) {
  for (const auto& [name, tensor] : network.tensors("")) {
    if (fixture.has("out." + prefix + name)) fixture.compare(prefix + name, tensor);
  }
}

void follow(test::Fixture& fixture, bool patch_level) {
  const auto config = config_of(fixture, patch_level);
  auto student = test::sgfm_network(fixture, patch_level), teacher = test::sgfm_network(fixture, patch_level);
  {
    const at::NoGradGuard no_grad;
    auto buffers = teacher.head->named_buffers();
    buffers["projection_head.1.running_mean"].copy_(fixture.in("ema_bn_mean"));
    buffers["projection_head.1.running_var"].copy_(fixture.in("ema_bn_var"));
  }
  const auto x = fixture.in("x"), noise = fixture.in("noise"), t = fixture.in("t"), null_mask = fixture.in("null_mask");
  const int64_t steps = x.size(0), batch = x.size(1);
  const auto draws = [&](const std::vector<int64_t>& samples, at::IntArrayRef) {
    const auto rows = at::tensor(samples) % batch;
    const int64_t step = samples.front() / batch;
    learn::Draws out;
    out.eps = noise[step].index_select(0, rows);
    out.t = t[step].index_select(0, rows);
    out.drop = null_mask[step].index_select(0, rows);
    out.teacher_eps = out.eps;
    return out;
  };
  learn::Learner learner(config, at::kCPU, {}, 0, student, teacher, draws);
  std::vector<double> loss, flow, cluster, lr, ramp, stage2;
  for (int64_t step = 0; step < steps; ++step) {
    data::Batch images;
    images.x = x[step];
    images.sample = rng::consecutive(step * batch, batch);
    images.index = images.sample;
    const auto result = learner.step(images);
    loss.push_back(result.objective);
    flow.push_back(result.flow_loss);
    cluster.push_back(result.cluster_window);
    lr.push_back(result.lr);
    ramp.push_back(result.cluster_weight / config.cluster.weight);
    stage2.push_back(result.conditioned ? 1 : 0);
    const std::string at_step = "step" + std::to_string(step) + ".";
    fixture.compare(at_step + "cluster_ids", result.sinkhorn->assignments.argmax(1));
    if (fixture.has("out." + at_step + "cond_ids")) fixture.compare(at_step + "cond_ids", result.ids.flatten());
    if (!fixture.has("out." + at_step + "grad.pos_embed")) continue;
    for (const auto& [name, gradient] : learner.named(result.gradient)) {
      if (fixture.has("out." + at_step + "grad." + name)) fixture.compare(at_step + "grad." + name, gradient);
    }
  }
  const auto history = [&](const std::string& name, const std::vector<double>& values) {
    fixture.compare("hist." + name, at::tensor(values, at::kFloat));
  };
  history("loss", loss);
  history("loss_fm", flow);
  history("loss_sk", cluster);
  history("lr", lr);
  history("sk_warmup", ramp);
  history("stage2", stage2);
  compare_network(fixture, learner.student(), "net.");
  compare_network(fixture, learner.teacher(), "ema.");
  fixture.expect_all_compared();
}

}  // namespace

TEST(SgfmTrainParity, PaperModeTakesThePublicTrainersSteps) {
  test::for_each_fixture("sgfm_train_image", [](test::Fixture& fixture) { follow(fixture, false); });
  test::for_each_fixture("sgfm_train_patch", [](test::Fixture& fixture) { follow(fixture, true); });
}
