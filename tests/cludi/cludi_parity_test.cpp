// CLUDI against the public code's stored numbers (BGU-CS-VIL/CLUDI 415682c), and against values of a fill rule.
#include <gtest/gtest.h>
#include <torch/types.h>

#include "model/fill_rule.h"
#include "sdg/cludi/generation.h"
#include "sdg/cludi/pair_loss.h"
#include "sdg/cludi/student.h"
#include "sdg/cluster/noisy_rows.h"
#include "sdg/config/names.h"
#include "sdg/learn/module_optimizer.h"
#include "sdg/network/flat_parameters.h"
#include "support/fixture.h"

using namespace sdg;
using test::Fixture;

namespace {

// With three heads, as the public network always has them; one head leaves the others' numbers unasked for.
cludi::Denoiser denoiser_of(const Fixture& fixture, bool multiple_k, bool velocity = false) {
  cludi::ModelOptions options;
  options.embedding = fixture.config.at("embedding_dim");
  options.nonlinear = fixture.config.at("non_linear");
  options.multiple_k = multiple_k;
  options.predicts = velocity ? cludi::Predicts::kVelocity : cludi::Predicts::kData;
  cludi::Denoiser out(fixture.config.at("feat_size").get<int64_t>(), fixture.config.at("num_clusters").get<int64_t>(),
                      options);
  for (auto& [name, tensor] : network::named_tensors("", *out))
    learn::copy_named(fixture.weights(), name, tensor, fixture.name);
  return out;
}

cludi::NoiseOptions noise_of(const nlohmann::json& run, int64_t levels) {
  cludi::NoiseOptions out;
  out.levels = levels;
  if (const auto name = run.value("beta_schedule", run.value("name", "")); !name.empty())
    out.schedule = *config::from_name<cludi::Schedule>(name);
  return out;
}

Tensor scalar(const Tensor& x) {
  return x.detach().reshape({1});
}

}  // namespace

TEST(CludiParity, NoiseSchedulesAndTheirWeights) {
  test::for_each_fixture("cludi_schedule", [](Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("diff").items()) {
      auto options = noise_of(run, run.at("timesteps"));
      if (run.value("vp_rf", false)) options.rescale = run.at("rescaling_factor");
      const bool velocity = run.value("objective", "") == "pred_v";
      const cludi::NoiseSchedule schedule(options, velocity ? cludi::Predicts::kVelocity : cludi::Predicts::kData);
      const auto abar = schedule.alphas_cumprod();
      const auto same = [&](const char* what, const Tensor& x) {
        const auto output = name + "." + what;
        if (fixture.has("out." + output)) fixture.compare(output, x.to(at::kFloat));
      };
      same("betas", schedule.betas());
      same("alphas_cumprod", abar);
      same("sqrt_alphas_cumprod", abar.sqrt());
      same("sqrt_one_minus_alphas_cumprod", (1 - abar).sqrt());
      same("sqrt_recip_alphas_cumprod", (1 / abar).sqrt());
      same("sqrt_recipm1_alphas_cumprod", (1 / abar - 1).sqrt());
      if (name != "pred_noise") same("loss_weight", schedule.loss_weights());
    }
    for (const auto& [name, run] : fixture.config.at("named").items()) {
      const auto kind = run.at("name").get<std::string>();
      if (kind != "cosine" && kind != "sqrt") continue;
      auto options = noise_of(run, run.at("T"));
      options.rescale = run.at("rescale").get<double>() * run.at("rescale").get<double>();
      fixture.compare("named." + name, cludi::NoiseSchedule(options).betas());
    }
    for (const std::string name : {"lr", "wd"}) {
      const auto& run = fixture.config.at("cos").at(name);
      const int64_t each = run[3], warmup = run[4].get<int64_t>() * each, total = run[2].get<int64_t>() * each;
      std::vector<double> values;
      for (int64_t step = 0; step < total; ++step)
        values.push_back(cludi::cosine_with_warmup(run[0], run[1], warmup, total, step));
      fixture.compare("cosine_scheduler." + name, at::tensor(values, at::kDouble));
    }
    fixture.expect_all_compared([](const std::string& output) {
      // The posterior, which nothing here uses; weights of a network that predicts noise and schedules of other names,
      // which the public program cannot be asked for.
      return output.find("posterior") != std::string::npos || output.find("_prev") != std::string::npos ||
             output == "pred_noise.loss_weight" || output.starts_with("named.linear") ||
             output.starts_with("named.edm") || output.starts_with("named.cdcd");
    });
  });
}

TEST(CludiParity, TheNetworkItsHeadsAndItsEmbeddings) {
  test::for_each_fixture("cludi_model", [](Fixture& fixture) {
    const at::NoGradGuard no_grad;
    const auto denoiser = denoiser_of(fixture, true);
    const auto conditions = denoiser->conditions(fixture.in("x"));
    const auto z = fixture.in("z_t"), n = fixture.in("t");
    const auto estimate = denoiser->forward(z, conditions, n, fixture.in("self_cond"));
    fixture.compare("out", estimate);
    fixture.compare("out_zero_selfcond", denoiser->forward(z, conditions, n, at::zeros_like(z)));
    const std::vector<Tensor> assignments{fixture.in("probs"), fixture.in("probs2"), fixture.in("probs3")};
    for (size_t head = 0; head < 3; ++head) {
      const std::string suffix = head == 0 ? "" : std::to_string(head + 1);
      fixture.compare("logits" + suffix, denoiser->logits(estimate, head));
      fixture.compare("embedding" + suffix, denoiser->embedding(assignments[head], head));
    }
    fixture.compare("weighted", denoiser->embedding(assignments));
    fixture.compare("centers", denoiser->unit_centers().unsqueeze(0));
    fixture.expect_all_compared();
  });
}

TEST(CludiParity, FormulaWeightsOfFullSizeGiveThePublicCodesNumbers) {
  const at::NoGradGuard no_grad;
  cludi::Denoiser denoiser(384, 5, cludi::ModelOptions{});
  test::fill(*denoiser);
  for (auto& buffer : denoiser->named_buffers())
    buffer.value().copy_(test::fill_entry(buffer.key(), buffer.value().sizes()));
  const auto z = test::fill_input({2, 3, 64}), features = test::fill_input({2, 3, 384});
  const auto estimate =
      denoiser->forward(z, denoiser->conditions(features), at::tensor({3, 700}), 0.5 * test::fill_input({2, 3, 64}));
  test::expect_golden(estimate, 13.425418, 427.418086, {1.674707, .688724, -.74125, -1.718009, -1.623627});
  const auto logits = denoiser->logits(estimate);
  test::expect_golden(logits, -12.618772, 17.913437, {-.328282, -.914414, -.934788, -.366867, .441222});
  test::expect_golden(denoiser->embedding((logits / 0.1).softmax(-1), 0), -3.288209, 343.188878, {});
}

TEST(CludiParity, SqrtScheduleOfAThousandLevels) {
  const cludi::NoiseSchedule schedule(cludi::NoiseOptions{});
  const std::vector<std::pair<int64_t, double>> known{
      {0, .9766}, {1, .96381}, {499, .29578}, {998, 4.5465e-4}, {999, 4.5e-7}};
  for (const auto& [n, bar] : known) EXPECT_NEAR(schedule.alpha_bar(n) / bar, 1, 2e-2) << n;
  EXPECT_NEAR(schedule.alpha_bar(499), .29578, 5e-6);
  EXPECT_NEAR(schedule.loss_weights()[5].item<double>() / 49, .10204, 1e-5);
}

TEST(CludiParity, LossesOfPairsClippingAndTheTwoKindsOfNoise) {
  test::for_each_fixture("cludi_loss", [](Fixture& fixture) {
    const auto compare = [&](const std::string& name, const Tensor& weights, const cludi::PairLossOptions& options) {
      auto a = fixture.in("logits_1").requires_grad_(), b = fixture.in("logits_2").requires_grad_();
      const auto loss = cludi::pair_loss(a, b, weights, options);
      loss.backward();
      fixture.compare(name, scalar(loss));
      fixture.compare(name + ".grad_1", a.grad());
      fixture.compare(name + ".grad_2", b.grad());
    };
    const auto weights = fixture.in("loss_weights");
    compare("plain", {}, {});
    compare("weighted", weights, {});
    compare("tau", {}, {.row_temperature = 0.2, .column_temperature = 0.15});
    std::vector<Tensor> terms;
    for (const std::string kind : {"", "k2_", "k3_"})
      terms.push_back(
          cludi::pair_loss(fixture.in("logits_" + kind + "1"), fixture.in("logits_" + kind + "2"), weights));
    fixture.compare("multi_k_terms", at::stack(terms));
    fixture.compare("multi_k_as_public", scalar(cludi::sum_of_heads(terms, cludi::HeadSum::kDoubled)));
    EXPECT_NEAR(cludi::sum_of_heads(terms, cludi::HeadSum::kPlain).item<double>(),
                (terms[0] + terms[1] + terms[2]).item<double>() / 3, 1e-5);

    const auto x = fixture.in("features"), rate = fixture.in("draw_rate");
    fixture.compare("feature_dropout", cluster::with_gaps(x, fixture.in("draw_mask"), 0.05 + 0.05 * rate));
    fixture.compare("add_random_noise", cluster::with_noise(x, fixture.in("draw_noise"), 0.2 + 0.8 * rate));
    for (const std::string name : {"a", "b"})
      fixture.compare("clip.g_" + name, learn::clipped(fixture.in("g_" + name), 4));
    fixture.compare("clip.norms", at::stack({fixture.in("g_a").norm(), fixture.in("g_b").norm()}));
    fixture.expect_all_compared();
  });
}

TEST(CludiParity, TheWorkedExampleOfTheLoss) {
  const auto a = (at::arange(12) / 10.0).reshape({2, 3, 2}), b = at::arange(12).to(at::kFloat).sin().reshape({2, 3, 2});
  EXPECT_NEAR(cludi::pair_loss(a, b, {}).item<double>(), 1.7958568, 2e-6);
  EXPECT_NEAR(cludi::pair_loss(a, b, at::tensor({.1, .2})).item<double>(), .2693785, 1e-6);
}

TEST(CludiParity, DrawsWithStoredNoise) {
  test::for_each_fixture("cludi_sample", [](Fixture& fixture) {
    const at::NoGradGuard no_grad;
    const int64_t levels = fixture.config.at("T");
    const double factor = fixture.config.at("rescale");
    for (const auto& [name, run] : fixture.config.at("runs").items()) {
      const bool velocity = run.at("pred_v"), three = run.value("multiple_k", false);
      cludi::NoiseOptions options{.levels = levels, .factor = factor};
      if (run.at("vp_rf").get<bool>()) options.rescale = factor;
      const cludi::NoiseSchedule schedule(options, velocity ? cludi::Predicts::kVelocity : cludi::Predicts::kData);
      const auto denoiser = denoiser_of(fixture, three, velocity);
      const auto conditions = denoiser->conditions(fixture.in("x"));
      const auto noise = fixture.in("noise");
      const int64_t steps = run.at("steps"), early = run.value("early", 0);
      const auto drawn = cludi::draw_assignments(denoiser, schedule, conditions, {}, {steps, early},
                                                 [&](int64_t i) { return noise[i]; });
      fixture.compare(name + ".z", drawn.embedding);
      for (size_t head = 0; head < drawn.logits.size(); ++head)
        fixture.compare(name + ".logits" + std::to_string(head), drawn.logits[head]);
      fixture.compare(name + ".teacher_probs", (drawn.logits[0] / 0.1).softmax(-1));
      const auto mean = drawn.logits[0].mean(0);
      fixture.compare(name + ".logits_mean", mean);
      fixture.compare(name + ".assign_mean", mean.argmax(1));
      // Stopped before its k-th last step, a draw answers with the estimate on the way.
      std::vector<Tensor> on_the_way;
      const auto count = fixture.out(name + ".imgs").size(0);
      for (int64_t i = 0; i < count; ++i)
        on_the_way.push_back(
            cludi::draw_assignments(denoiser, schedule, conditions, {}, {steps, steps - i}, [&](int64_t j) {
              return noise[j];
            }).logits[0]);
      fixture.compare(name + ".imgs", at::stack(on_the_way));
    }
    const cludi::NoiseSchedule schedule({.levels = levels, .factor = factor});
    const auto z = fixture.in("step_z_t"), z_0 = fixture.in("step_z0"), noise = fixture.in("step_noise");
    const int64_t n = fixture.config.at("ddim_pair")[0], next = fixture.config.at("ddim_pair")[1];
    fixture.compare("step.pred_noise", cludi::noise_of(schedule, z, z_0, n));
    for (const auto& [name, eta] : std::map<std::string, double>{{"0.0", 0}, {"0.5", 0.5}, {"1.0", 1}})
      fixture.compare("step.eta" + name, cludi::ddim_step(schedule, z, z_0, noise, n, next, eta));
    const auto at_n = at::full({z.size(0)}, n, at::kLong);
    const cludi::NoiseSchedule unit({.levels = levels, .factor = 1}, cludi::Predicts::kVelocity);
    fixture.compare("step.q_sample", unit.noised(z_0, noise, at_n));
    fixture.compare("step.x0_from_v", unit.data_of(noise, z, at_n));
    fixture.expect_all_compared([](const std::string& output) {
      return output == "step.v" || output.starts_with("step.q_post");  // the posterior and a target that nothing uses
    });
  });
}

TEST(CludiParity, ATrainingIterationItsLossesAndGradients) {
  test::for_each_fixture("cludi_train_iter", [](Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("runs").items()) {
      const bool velocity = run.at("pred_v"), three = run.at("multiple_k");
      cludi::CludiOptions options;
      options.noise.levels = fixture.config.at("T");
      options.noise.factor = fixture.config.at("rescale");
      if (run.value("vp_rf", false)) options.noise.rescale = options.noise.factor;
      options.model.multiple_k = three;
      options.model.predicts = velocity ? cludi::Predicts::kVelocity : cludi::Predicts::kData;
      const cludi::NoiseSchedule schedule(options.noise, options.model.predicts);
      const auto denoiser = denoiser_of(fixture, three, velocity);
      cludi::StudentInput input;
      input.features = fixture.in("x");
      for (size_t head = 0; head < denoiser->heads(); ++head)
        input.targets.push_back(fixture.in("c_" + std::to_string(head)));
      input.n = fixture.in("t");
      input.noise = fixture.in("noise");
      input.self_condition = run.at("self_cond");
      const auto student = cludi::student_pass(denoiser, schedule, options, input);
      fixture.compare(name + ".z_0_hat", student.z_0.detach());
      fixture.compare(name + ".loss_weight", student.weights);
      fixture.compare(name + ".z_0_loop", student.embedding.detach());
      for (size_t head = 0; head < student.logits.size(); ++head)
        fixture.compare(name + ".logits" + std::to_string(head), student.logits[head].detach());
      if (!fixture.has("out." + name + ".loss")) continue;
      options.train.assignment = fixture.config.at("ce_lambda");
      const auto lowered =
          cludi::losses(fixture.in("teacher_z0"), {fixture.in("teacher_logits")}, student, options.train);
      fixture.compare(name + ".loss_diff", scalar(lowered.diffusion));
      fixture.compare(name + ".loss_logits", scalar(lowered.assignment));
      fixture.compare(name + ".loss", scalar(lowered.total));
      if (!run.value("grads", false)) continue;
      lowered.total.backward();
      for (const auto& parameter : denoiser->named_parameters())
        if (const auto output = name + ".grad." + parameter.key(); fixture.has("out." + output))
          fixture.compare(output, parameter.value().grad());
    }
    fixture.expect_all_compared();
  });
}
