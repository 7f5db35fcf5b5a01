// Three training steps with fixed draws against the public loops: forward, gradients, AdamW and weight average
// (shared/fixtures uvit_train, dit_train, repa_loss).
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <numbers>

#include "sdg/core/error.h"
#include "sdg/flow/betas.h"
#include "sdg/flow/path.h"
#include "sdg/learn/optimizer.h"
#include "sdg/model/catalog.h"
#include "sdg/model/dit.h"
#include "sdg/model/uvit.h"
#include "sdg/network/flat_parameters.h"
#include "sdg/nn/alignment.h"
#include "support/fixture.h"

using namespace sdg;
using namespace sdg::model;

namespace {

// A network, its flat parameters and the average of all parameters, fixed ones included.
struct Training {
  Training(std::shared_ptr<torch::nn::Module> module, const recipe::TrainOptions& options)
      : net(std::move(module)), average(snapshot()) {
    flat.add("", *net);
    flat.build();
    optimizer = std::make_unique<learn::AdamW>(options, flat.values());
  }

  std::map<std::string, Tensor> snapshot() const {
    std::map<std::string, Tensor> out;
    for (auto& [name, tensor] : network::named_tensors("", *net)) out[name] = tensor.clone();
    return out;
  }
  Tensor gradient(const Tensor& loss) const {
    const auto gradients = torch::autograd::grad({loss}, flat.parameters(), {}, {}, false, /*allow_unused=*/true);
    auto out = at::zeros_like(flat.values());
    const auto views = flat.views(out);
    for (size_t i = 0; i < views.size(); ++i)
      if (gradients[i].defined()) views[i].copy_(gradients[i]);
    return out;
  }
  double step(const Tensor& gradient, double lr, double decay) {
    const double norm = optimizer->step(flat.values(), gradient, lr);
    const at::NoGradGuard no_grad;
    for (auto& [name, tensor] : network::named_tensors("", *net)) average.at(name).lerp_(tensor, 1 - decay);
    return norm;
  }
  void compare(test::Fixture& fixture) const {
    for (const auto& [name, tensor] : snapshot()) fixture.compare("net." + name, tensor);
    for (const auto& [name, tensor] : average) fixture.compare("ema." + name, tensor);
  }

  std::shared_ptr<torch::nn::Module> net;
  std::map<std::string, Tensor> average;
  network::FlatParameters flat;
  std::unique_ptr<learn::AdamW> optimizer;
};

Tensor per_image(const Tensor& values) {
  return values.view({-1, 1, 1, 1});
}
Tensor mean_of_image(const Tensor& x) {
  return x.flatten(1).mean(1);
}

// What DDPM's loss needs of the step n of each image, float32 [N, 1, 1, 1].
struct Level {
  explicit Level(const Tensor& n) {
    const auto beta = flow::betas(flow::Path::kLinear), abar = flow::alphas_cumprod(flow::Path::kLinear);
    const auto before = at::cat({at::ones({1}, at::kDouble), abar.slice(0, 0, -1)});
    const auto posterior = beta * (1 - before) / (1 - abar);
    const auto clipped = at::cat({posterior.slice(0, 1, 2), posterior.slice(0, 1)});
    const auto pick = [&](const Tensor& table) { return per_image(table.index_select(0, n)).to(at::kFloat); };
    signal = pick(abar.sqrt());
    noise = pick((1 - abar).sqrt());
    x_weight = pick(beta * before.sqrt() / (1 - abar));
    z_weight = pick((1 - before) * (1 - beta).sqrt() / (1 - abar));
    log_beta = pick(beta.log());
    log_posterior = pick(clipped.log());
    recip_signal = pick((1 / abar).sqrt());
    recip_noise = pick((1 / abar - 1).sqrt());
  }
  Tensor signal, noise, x_weight, z_weight, log_beta, log_posterior, recip_signal, recip_noise;
};

// The standard normal distribution's tanh approximation, as in the public likelihood of 8-bit data.
Tensor normal_cdf(const Tensor& x) {
  return 0.5 * (1 + at::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x.pow(3))));
}

// -log of the mass that N(mean, e^{2 s}) puts on the 1/255 around x, open at the ends.
Tensor discrete_nll(const Tensor& x, const Tensor& mean, const Tensor& log_std) {
  const auto inverse = at::exp(-log_std), centred = x - mean;
  const auto above = normal_cdf(inverse * (centred + 1.0 / 255)), below = normal_cdf(inverse * (centred - 1.0 / 255));
  const auto log_above = above.clamp_min(1e-12).log(), log_not_below = (1 - below).clamp_min(1e-12).log();
  const auto inside = (above - below).clamp_min(1e-12).log();
  return -at::where(x < -0.999, log_above, at::where(x > 0.999, log_not_below, inside));
}

// Nichol and Dhariwal's variational term of learned-range variances, in bits; the mean prediction is a constant to it.
Tensor variational_term(const Level& level, const Tensor& x, const Tensor& z, const Tensor& eps, const Tensor& raw,
                        const Tensor& n) {
  const auto share = (raw + 1) / 2;
  const auto log_variance = share * level.log_beta + (1 - share) * level.log_posterior;
  const auto guess = level.recip_signal * z - level.recip_noise * eps.detach();
  const auto mean = level.x_weight * guess + level.z_weight * z, true_mean = level.x_weight * x + level.z_weight * z;
  const auto kl = 0.5 * (-1 + log_variance - level.log_posterior + at::exp(level.log_posterior - log_variance) +
                         (true_mean - mean).square() * at::exp(-log_variance));
  const auto nll = discrete_nll(x, mean, 0.5 * log_variance);
  return mean_of_image(at::where(per_image(n) == 0, nll, kl)) / std::numbers::ln2;
}

recipe::TrainOptions optimizer_options(const nlohmann::json& config) {
  recipe::TrainOptions options;
  options.beta1 = config.contains("betas") ? config.at("betas")[0].get<double>() : 0.9;
  options.beta2 = config.contains("betas") ? config.at("betas")[1].get<double>() : 0.999;
  options.weight_decay = config.at("weight_decay");
  options.clip = config.value("clip", 0.0);
  return options;
}

void compare_dit(test::Fixture& fixture) {
  const auto& config = fixture.config;
  const auto& shape = config.at("model");
  const bool velocity = config.at("kind") == "sit";
  DiTOptions options;
  options.size = shape.at("input_size");
  options.patch = shape.at("patch_size");
  options.channels = shape.at("in_channels");
  options.dim = shape.at("hidden_size");
  options.depth = shape.at("depth");
  options.heads = shape.at("num_heads");
  options.mlp_ratio = shape.at("mlp_ratio");
  options.classes = shape.at("num_classes");
  options.learn_sigma = shape.at("learn_sigma");
  DiT net(options);
  load_weights(*net, fixture.weights(), fixture.name);
  Training training(net.ptr(), optimizer_options(config));
  const auto drop_rate = shape.at("class_dropout_prob").get<double>();

  const int64_t steps = config.at("n_steps");
  std::vector<Tensor> losses;
  for (int64_t step = 0; step < steps; ++step) {
    const auto draw = [&](const char* name) { return fixture.in(name)[step]; };
    const auto x = draw("x"), noise = draw("noise"), t = draw("t");
    const auto label = Condition::given(draw("y"), draw("drop_draw") < drop_rate);
    const auto prefix = cat("step", step, ".");
    Tensor loss;  // [N]
    if (velocity) {
      const auto path = flow::constant_velocity(x, noise, t, 0);
      loss = flow::velocity_loss(net->forward(path.x_t, t, label).prediction, path.velocity);
    } else {
      const Level level(t);
      const auto z = level.signal * x + level.noise * noise;
      const auto parts = net->prediction(z, t, label).chunk(2, 1);
      const auto mse = mean_of_image((parts[0] - noise).square());
      const auto bound = variational_term(level, x, z, parts[0], parts[1], t);
      fixture.compare(prefix + "mse", mse);
      fixture.compare(prefix + "vb", bound);
      loss = mse + bound;
    }
    fixture.compare(prefix + "loss", loss);
    losses.push_back(loss.mean().detach());
    const auto gradient = training.gradient(loss.mean());
    for (const auto& [name, view] : training.flat.named_views(gradient))
      if (fixture.has("out." + prefix + "grad." + name)) fixture.compare(prefix + "grad." + name, view);
    training.step(gradient, config.at("lr"), config.at("ema_decay"));
  }
  fixture.compare("loss", at::stack(losses));
  training.compare(fixture);
  fixture.expect_all_compared();
}

// REPA's two losses and their gradients. Its time runs from data to noise: t = 1 - our t, and the velocity is negative.
void compare_repa(test::Fixture& fixture) {
  const auto x = fixture.in("images"), noise = fixture.in("noise"), draw = fixture.in("time_draw");
  const auto answer = fixture.in("model_output").requires_grad_();
  const int64_t encoders = fixture.config.at("n_enc");
  const bool lognormal = fixture.config.at("weighting") == "lognormal";
  for (const std::string kind : {"linear", "cosine"}) {
    std::vector<Tensor> leaves{answer}, alignments;
    for (int64_t i = 0; i < encoders; ++i) {
      leaves.push_back(fixture.in(cat("z_tilde_", i)).requires_grad_());
      alignments.push_back(nn::alignment_loss(leaves.back(), fixture.in(cat("z_", i))));
    }
    auto t = draw;
    if (lognormal && kind == "linear") t = draw.exp() / (1 + draw.exp());
    if (lognormal && kind == "cosine") t = at::atan(draw.exp()) * (2 / std::numbers::pi);
    Tensor input, denoising;
    if (kind == "linear") {
      const auto path = flow::constant_velocity(x, noise, 1 - t, 0);
      input = path.x_t;
      denoising = flow::velocity_loss(answer, -path.velocity);
    } else {
      const auto angle = per_image(t) * (std::numbers::pi / 2);
      input = angle.cos() * x + angle.sin() * noise;
      denoising = flow::velocity_loss(answer, (std::numbers::pi / 2) * (angle.cos() * noise - angle.sin() * x));
    }
    const auto projection = at::stack(alignments).mean();
    const auto gradients = torch::autograd::grad({projection + denoising.mean()}, leaves);
    fixture.compare(kind + ".t", t);
    fixture.compare(kind + ".model_input", input);
    fixture.compare(kind + ".denoising_loss", denoising);
    fixture.compare(kind + ".proj_loss", projection.reshape({1}));
    fixture.compare(kind + ".grad_model_output", gradients[0]);
    for (int64_t i = 0; i < encoders; ++i)
      fixture.compare(cat(kind, ".grad_z_tilde_", i), gradients[static_cast<size_t>(i + 1)]);
  }
  fixture.expect_all_compared();
}

}  // namespace

TEST(TrainParity, RepaLossesAndTheirGradientsAreThePublicOnes) {
  test::for_each_fixture("repa_loss", compare_repa);
}

TEST(TrainParity, DiTAndSiTTakeThePublicSteps) {
  test::for_each_fixture("dit_train", compare_dit);
}

TEST(TrainParity, UViTTakesThePublicSteps) {
  test::for_each_fixture("uvit_train", [](test::Fixture& fixture) {
    const auto& config = fixture.config;
    const auto& shape = config.at("model");
    UViTOptions options;
    options.size = shape.at("img_size");
    options.patch = shape.at("patch_size");
    options.channels = shape.at("in_chans");
    options.dim = shape.at("embed_dim");
    options.depth = shape.at("depth");
    options.heads = shape.at("num_heads");
    options.mlp_ratio = shape.at("mlp_ratio");
    options.qkv_bias = shape.at("qkv_bias");
    options.mlp_time_embed = shape.at("mlp_time_embed");
    options.conv = shape.at("conv");
    options.skip = shape.at("skip");
    options.layout = UViTLayout::kBaofff;
    options.classes = std::max<int64_t>(0, shape.at("num_classes").get<int64_t>());
    options.condition = options.classes > 0 ? ConditionKind::kIndex : ConditionKind::kNone;
    options.null_label = false;
    UViT net(options);
    load_weights(*net, fixture.weights(), fixture.name);
    Training training(net.ptr(), optimizer_options(config));

    const int64_t steps = config.at("n_steps");
    std::vector<Tensor> losses;
    std::vector<float> norms;
    for (int64_t step = 0; step < steps; ++step) {
      const auto draw = [&](const char* name) { return fixture.in(name)[step]; };
      const auto path = flow::constant_velocity(draw("x"), draw("noise"), draw("t"), 0);
      const auto label = options.classes > 0 ? Condition::given(draw("y")) : Condition::unconditional();
      const auto loss =
          flow::velocity_loss(net->forward(path.x_t, draw("t") * 999, label).prediction, path.velocity).mean();
      losses.push_back(loss.detach());
      const double warmed = std::min(1.0, static_cast<double>(step) / config.at("warmup").get<double>());
      norms.push_back(static_cast<float>(
          training.step(training.gradient(loss), config.at("lr").get<double>() * warmed, config.at("ema_rate"))));
    }
    fixture.compare("loss", at::stack(losses));
    fixture.compare("grad_norm", at::tensor(norms));
    training.compare(fixture);
    fixture.expect_all_compared();
  });
}
