#include "sdg/cluster/prototype_head.h"

#include <torch/nn/functional/normalization.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include "cluster/batch_norm.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {
namespace {

Tensor unit_rows(const Tensor& x) {
  return torch::nn::functional::normalize(x, torch::nn::functional::NormalizeFuncOptions().p(2).dim(1).eps(1e-12));
}

PrototypeHeadOptions resolved(PrototypeHeadOptions options) {
  SDG_CHECK(options.feature_dim >= 1, "prototype head: feature_dim must be at least 1, got ", options.feature_dim);
  SDG_CHECK(options.clusters >= 1, "prototype head: clusters must be at least 1, got ", options.clusters);
  SDG_CHECK(options.hidden >= 0 && options.dim >= 0, "prototype head: hidden and dim must not be negative, got ",
            options.hidden, " and ", options.dim);
  if (options.hidden == 0) options.hidden = std::max<int64_t>(1, options.feature_dim / 2);
  if (options.dim == 0) options.dim = options.feature_dim;
  return options;
}

}  // namespace

PrototypeHeadImpl::PrototypeHeadImpl(const PrototypeHeadOptions& options) : options_(resolved(options)) {
  using namespace torch::nn;
  if (options_.standardize)
    feature_norm = register_module(
        "feature_norm", std::make_shared<BatchNorm1dImpl>(BatchNormOptions(options_.feature_dim).affine(false)));
  projection_head = register_module(
      "projection_head", std::make_shared<SequentialImpl>(torch::nn::Linear(options_.feature_dim, options_.hidden),
                                                          BatchNorm1d(options_.hidden), ReLU(),
                                                          torch::nn::Linear(options_.hidden, options_.dim)));
  prototypes = register_module("prototypes", nn::Linear(options_.dim, options_.clusters, /*with_bias=*/false));
  if (!options_.centroids) return;
  auto& members = nn::add_scope(*this, "members");
  members_sum = members.register_buffer("sum", at::zeros({options_.clusters, options_.dim}));
  members_weight = members.register_buffer("weight", at::zeros({options_.clusters}));
}

HeadOutput PrototypeHeadImpl::forward(const Tensor& features, Reducer& reducer) {
  check_shape(features, {-1, options_.feature_dim}, "prototype head: features");
  if (is_training()) {
    const auto rows = reducer.sum(features.size(0));
    SDG_CHECK(rows >= 2, "prototype head: BatchNorm needs at least 2 rows in train mode, got ", rows,
              ": use a larger batch");
  }
  const auto inner = feature_norm ? batch_norm(*feature_norm, features, reducer) : features;  // [N, F]
  using namespace torch::nn;
  const auto& layers = *projection_head;
  auto hidden = layers[0]->as<torch::nn::Linear>()->forward(inner);  // [N, hidden]
  hidden = batch_norm(*layers[1]->as<BatchNorm1d>(), hidden, reducer);
  hidden = layers[2]->as<ReLU>()->forward(hidden);
  const auto embedding = unit_rows(layers[3]->as<torch::nn::Linear>()->forward(hidden));  // [N, p]
  return {embedding, prototypes->forward(embedding)};                                     // [N, K]
}

void PrototypeHeadImpl::normalize_prototypes() {
  const at::NoGradGuard no_grad;
  prototypes->weight.copy_(unit_rows(prototypes->weight));
}

void PrototypeHeadImpl::follow_members(const Tensor& embedding, const Tensor& ids, Reducer& reducer,
                                       const Tensor& bad) {
  constexpr double kDecay = 0.99;  // older members come from an embedding that has moved since
  const at::NoGradGuard no_grad;
  const auto add = [&](Tensor& kept, const Tensor& rows) {
    const auto now = kept * kDecay + reducer.all_reduce(at::zeros_like(kept).index_add_(0, ids, rows));
    kept.copy_(bad.defined() ? at::where(bad, kept, now) : now);
  };
  add(members_sum, embedding.detach());
  add(members_weight, at::ones({ids.size(0)}, members_weight.options()));
}

Tensor PrototypeHeadImpl::centroids() const {
  constexpr double kForgotten = 1e-6;  // some 1,400 steps without a member
  const auto weight = members_weight.unsqueeze(1);
  return at::where(weight.gt(kForgotten), members_sum / weight.clamp_min(kForgotten), prototypes->weight.detach());
}

void initialize(PrototypeHeadImpl& head, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const auto normal = [&](const Tensor& weight, const std::string& name) {
    const rng::Stream stream{seed, rng::Purpose::kInit, rng::hash(name)};
    weight.copy_(rng::normal(stream, rng::consecutive(0, weight.size(0)), {weight.size(1)}));
  };
  for (auto& parameter : head.projection_head->named_parameters()) {
    if (parameter.value().dim() == 2) {
      normal(parameter.value(), "projection_head." + parameter.key());
      parameter.value().mul_(0.02);
    } else {
      parameter.value().zero_();
    }
  }
  head.projection_head->ptr(1)
      ->as<torch::nn::BatchNorm1d>()
      ->reset_parameters();  // weight 1, running statistics as new
  normal(head.prototypes->weight, "prototypes.weight");
  head.normalize_prototypes();
}

}  // namespace sdg::cluster
