#include "sdg/cludi/denoiser.h"

#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "sdg/core/rng.h"
#include "sdg/core/shape.h"
#include "sdg/nn/embed.h"
#include "sdg/nn/init.h"

namespace sdg::cludi {
namespace {

constexpr double kSiluScale = 0.596;  // of unit normal input's output (Karras et al., 2312.02696, "MP-SiLU")
constexpr double kNormEps = 1e-6, kLastNormEps = 1e-5;

Tensor mp_silu(const Tensor& x) {
  return at::silu(x) / kSiluScale;
}

Tensor unit(const Tensor& x) {
  return x / x.norm(2, {-1}, true).clamp_min(1e-12);
}

}  // namespace

HeadImpl::HeadImpl(int64_t embedding, int64_t clusters, bool nonlinear) {
  first = register_module("0", nn::Linear(embedding, nonlinear ? embedding : clusters));
  if (nonlinear) second = register_module("2", nn::Linear(embedding, clusters));
}

Tensor HeadImpl::forward(const Tensor& z) const {
  const auto h = first->forward(z);
  return second ? second->forward(mp_silu(h)) : h;
}

DenoiserImpl::DenoiserImpl(int64_t features, int64_t clusters, const ModelOptions& options)
    : options_(options), features_(features) {
  const int64_t e = options.embedding, assigned = std::max<int64_t>(1, features / 2), d = features + assigned;
  auto& time = nn::add_scope(*this, "time_embed");
  time0_ = time.register_module("0", nn::Linear(d, 4 * d));
  time2_ = time.register_module("2", nn::Linear(4 * d, d));
  auto& data = nn::add_scope(*this, "data_input_proj");
  data0_ = data.register_module("0", nn::Linear(features, features));
  data2_ = data.register_module("2", nn::Linear(features, features));
  data4_ = data.register_module("4", nn::Linear(features, features));
  auto& cluster = nn::add_scope(*this, "cluster_input_proj");
  cluster0_ = cluster.register_module("0", nn::Linear(2 * e, 2 * e));
  cluster2_ = cluster.register_module("2", nn::Linear(2 * e, assigned));
  cluster3_ = cluster.register_module("3", nn::LayerNorm(assigned, kNormEps));
  cluster4_ = cluster.register_module("4", nn::Linear(assigned, assigned));
  auto& network = nn::add_scope(*this, "network");
  for (const int i : {0, 2, 4, 6, 8}) network_.push_back(network.register_module(std::to_string(i), nn::Linear(d, d)));
  network_.push_back(network.register_module("10", nn::Linear(d, e)));
  network_.push_back(network.register_module("12", nn::Linear(e, e)));
  norm_ = register_module("norm", nn::LayerNorm(e, kLastNormEps));
  final_ = register_module("final_layer", nn::Linear(e, e));
  const std::vector<std::string> suffixes =
      options.multiple_k ? std::vector<std::string>{"", "2", "3"} : std::vector<std::string>{""};
  int64_t k = clusters;
  for (const auto& suffix : suffixes) {
    const bool trained = options.centers == Centers::kAll || (options.centers == Centers::kFurther && !suffix.empty());
    const auto zeros = nn::initial_zeros({1, k, e}, {});
    centers_.push_back(trained ? register_parameter("clusters_centers" + suffix, zeros)
                               : register_buffer("clusters_centers" + suffix, zeros));
    heads_.push_back(register_module("last_layer" + suffix, Head(e, k, options.nonlinear)));
    k *= 2;
  }
  if (options.multiple_k) weights_ = register_parameter("weights", nn::initial_zeros({3}, {}));
}

Tensor DenoiserImpl::dropped(const Tensor& h, const DropoutDraw* draw, std::string_view place) const {
  if (!draw || options_.dropout == 0) return h;
  const rng::Stream stream{draw->seed ^ rng::hash(place), rng::Purpose::kDropout, draw->step};
  const auto kept = rng::uniform(stream, draw->samples, {h.size(-1)}, h.device()).ge(options_.dropout);
  return h * kept.view(h.sizes()).to(h.scalar_type()) / (1 - options_.dropout);
}

PrecisionScope DenoiserImpl::scope(const Tensor& x) const {
  return {precision_, x.device(), at::GradMode::is_enabled()};
}

Tensor DenoiserImpl::conditions(const Tensor& features, const DropoutDraw* dropout) const {
  check_shape(features, {-1, -1, features_}, "cludi: features");
  const auto precise = scope(features);
  auto f = mp_silu(data0_->forward(unit(features)));  // [C, B, F]
  f = at::layer_norm(data2_->forward(f), {features_}, {}, {}, kNormEps);
  f = data4_->forward(f).to(features.scalar_type());  // [C, B, F]
  return dropped(dropped(f, dropout, "features"), dropout, "features again");
}

Tensor DenoiserImpl::forward(const Tensor& z_n, const Tensor& conditions, const Tensor& n, const Tensor& last_estimate,
                             const DropoutDraw* dropout) const {
  const auto precise = scope(z_n);
  const auto copies = z_n.size(0), rows = z_n.size(1);
  auto a = mp_silu(cluster0_->forward(at::cat({last_estimate, z_n}, -1)));  // [C, B, 2 E]
  a = cluster4_->forward(cluster3_->forward(cluster2_->forward(a)));        // [C, B, F / 2]
  a = dropped(a, dropout, "assignments");
  auto h = at::cat({conditions.expand({copies, rows, features_}), a}, -1);  // [C, B, D]
  const auto time = mp_silu(time0_->forward(nn::time_embedding(n.to(h.device()), h.size(-1)).to(h.scalar_type())));
  h = h + time2_->forward(time).unsqueeze(1);
  for (size_t i = 0; i + 1 < network_.size(); ++i) h = mp_silu(network_[i]->forward(h));
  return final_->forward(norm_->forward(network_.back()->forward(h))).to(z_n.scalar_type());  // [C, B, E]
}

Tensor DenoiserImpl::logits(const Tensor& z, size_t head) const {
  const auto precise = scope(z);
  return heads_.at(head)->forward(z).to(z.scalar_type());
}

Tensor DenoiserImpl::unit_centers(size_t head) const {
  return unit(centers_.at(head).squeeze(0));
}

Tensor DenoiserImpl::embedding(const Tensor& assignment, size_t head) const {
  return std::sqrt(static_cast<double>(options_.embedding)) * unit(at::matmul(assignment, unit_centers(head)));
}

Tensor DenoiserImpl::embedding(const std::vector<Tensor>& assignments) const {
  if (heads_.size() == 1) return embedding(assignments.front());
  const auto share = (unit(weights_) / 0.1).softmax(0);
  Tensor sum;
  for (size_t i = 0; i < heads_.size(); ++i) {
    const auto one = share[static_cast<int64_t>(i)] * embedding(assignments[i], i);
    sum = sum.defined() ? sum + one : one;
  }
  return sum;
}

void initialize(DenoiserImpl& denoiser, uint64_t seed) {
  const nn::Initializer values(seed);
  auto tensors = denoiser.named_parameters();
  for (const auto& buffer : denoiser.named_buffers()) values.normal(buffer.value(), buffer.key(), 1);
  for (const auto& parameter : tensors) {
    const auto& name = parameter.key();
    const bool norm = name.starts_with("norm.") || name.starts_with("cluster_input_proj.3.");
    if (name == "weights" || name.starts_with("clusters_centers")) {
      values.normal(parameter.value(), name, 1);
    } else if (!norm && name.ends_with(".weight")) {
      const auto layer = name.substr(0, name.size() - std::string_view(".weight").size());
      values.conv(parameter.value(), tensors[layer + ".bias"], layer);
    }
  }
}

}  // namespace sdg::cludi
