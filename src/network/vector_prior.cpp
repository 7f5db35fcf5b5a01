#include "sdg/network/vector_prior.h"

#include <ATen/ATen.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/network/flat_parameters.h"
#include "sdg/nn/embed.h"
#include "sdg/nn/init.h"

namespace sdg::network {
namespace {

constexpr int64_t kTimeWidth = 64;
constexpr double kTimeUnits = 1000;  // sinusoids are made for whole steps
constexpr double kNormEps = 1e-5;
constexpr int64_t kSteps = 40;
constexpr double kSameLength = 1e-2;  // half precision keeps three digits

}  // namespace

VectorFieldImpl::VectorFieldImpl(const VectorFieldSize& size) : size_(size) {
  const auto w = size.width;
  input_ = register_module("input", nn::Linear(size.dim, w));
  auto& time = nn::add_scope(*this, "time");
  time0_ = time.register_module("0", nn::Linear(kTimeWidth, w));
  time2_ = time.register_module("2", nn::Linear(w, w));
  for (int64_t i = 0; i < size.blocks; ++i) {
    auto& block = nn::add_scope(*this, "block" + std::to_string(i));
    blocks_.push_back({.norm = block.register_module("norm", nn::LayerNorm(w, kNormEps)),
                       .in = block.register_module("in", nn::Linear(w, w)),
                       .time = block.register_module("time", nn::Linear(w, w)),
                       .out = block.register_module("out", nn::Linear(w, w))});
  }
  norm_ = register_module("norm", nn::LayerNorm(w, kNormEps));
  output_ = register_module("output", nn::Linear(w, size.dim));
}

Tensor VectorFieldImpl::forward(const Tensor& x_t, const Tensor& t) const {
  const auto sinusoids = nn::time_embedding(t * kTimeUnits, kTimeWidth);              // [N, 64]
  const auto time = at::silu(time2_->forward(at::silu(time0_->forward(sinusoids))));  // [N, W]
  auto h = input_->forward(x_t);                                                      // [N, W]
  for (const auto& block : blocks_) {
    const auto inside = block.in->forward(block.norm->forward(h)) + block.time->forward(time);
    h = h + block.out->forward(at::silu(inside));  // [N, W]
  }
  return output_->forward(norm_->forward(h));  // [N, D]
}

void initialize(VectorFieldImpl& field, uint64_t seed) {
  const nn::Initializer values(seed);
  auto tensors = field.named_parameters();
  for (const auto& parameter : tensors) {
    const std::string_view name = parameter.key(), weight = ".weight";
    const bool last = name.starts_with("output.") || name.ends_with(".out.weight") || name.ends_with(".out.bias");
    if (last || name.find("norm.") != std::string_view::npos || !name.ends_with(weight)) continue;
    const std::string layer(name.substr(0, name.size() - weight.size()));
    values.conv(parameter.value(), tensors[layer + ".bias"], layer);
  }
}

VectorScale scale_of(const Tensor& rows, const Tensor& weights) {
  check_shape(rows, {-1, -1}, "vector prior: rows");
  const auto x = rows.to(at::kDouble);
  const auto share = (weights / weights.sum()).to(at::kDouble).unsqueeze(1);  // [R, 1]
  const auto mean = (x * share).sum(0);
  VectorScale out;
  out.spread = ((x - mean).square() * share).sum(0).mean().sqrt().item<double>();
  SDG_CHECK(out.spread > 0, "vector prior: all ", rows.size(0), " vectors are alike: there is nothing to draw");
  const auto lengths = x.norm(2, {1});
  const double longest = lengths.max().item<double>();
  if (longest - lengths.min().item<double>() <= kSameLength * longest) out.length = lengths.mean().item<double>();
  out.mean = mean.to(at::kFloat);
  return out;
}

Tensor VectorPrior::draw(uint64_t seed, const std::vector<int64_t>& samples, const at::Device& device) const {
  const at::NoGradGuard no_grad;
  const auto noise = rng::normal({seed, rng::Purpose::kSampleVector, 0}, samples, {field->size().dim}, device);
  const auto velocity = [&](const Tensor& x, int64_t step) {
    return field->forward(x, at::full({x.size(0)}, static_cast<double>(step) / kSteps, x.options()));
  };
  auto x = noise;
  for (int64_t i = 0; i < kSteps; ++i) {
    const auto here = velocity(x, i), there = velocity(x + here / kSteps, i + 1);
    x = x + (here + there) / (2 * kSteps);
  }
  auto out = x * scale.spread + scale.mean.to(device);
  if (scale.length > 0) out = out * (scale.length / out.norm(2, {1}, true).clamp_min(1e-12));
  return out;  // [n, D]
}

void VectorPrior::to(const at::Device& device) {
  field->to(device);
}

std::map<std::string, Tensor> VectorPrior::tensors() const {
  auto out = named_tensors("field.", *field);
  out["scale.mean"] = scale.mean;
  out["scale.numbers"] = at::tensor({scale.spread, scale.length}, at::kDouble);
  return out;
}

VectorPrior VectorPrior::of(const VectorFieldSize& size, const std::map<std::string, Tensor>& tensors,
                            const std::string& where) {
  const auto needed = [&](const std::string& name, at::IntArrayRef shape) {
    const auto found = tensors.find(name);
    SDG_CHECK(found != tensors.end(), where, ": tensor ", name, " is missing");
    SDG_CHECK(found->second.sizes() == shape, where, ": tensor ", name, " has the shape ",
              to_string(found->second.sizes()), ", expected ", to_string(shape));
    return found->second;
  };
  const nn::WithoutInitialValues empty;
  VectorPrior out;
  out.field = VectorField(size);
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : named_tensors("field.", *out.field)) tensor.copy_(needed(name, tensor.sizes()));
  out.scale.mean = needed("scale.mean", {size.dim}).to(at::kFloat);
  const auto numbers = needed("scale.numbers", {2}).to(at::kDouble);
  out.scale.spread = numbers[0].item<double>();
  out.scale.length = numbers[1].item<double>();
  return out;
}

}  // namespace sdg::network
