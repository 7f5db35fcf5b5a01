#include "sdg/nn/init.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <string>

#include "sdg/core/rng.h"

namespace sdg::nn {
namespace {

thread_local int without_values = 0;

using Draw = Tensor (*)(const rng::Stream&, at::IntArrayRef, at::IntArrayRef);

// A row of the parameter is one sample of the stream, so rows can be drawn in any order and in parallel.
Tensor draw(Draw distribution, uint64_t seed, std::string_view name, at::IntArrayRef shape) {
  const rng::Stream stream{seed, rng::Purpose::kInit, rng::hash(name)};
  const auto rows = shape.empty() ? 1 : shape[0];
  const auto out = at::empty(shape, at::kFloat);
  const auto flat = out.view({rows, -1});
  const Shape row{flat.size(1)};
  at::parallel_for(0, rows, 64, [&](int64_t begin, int64_t end) {
    flat.slice(0, begin, end).copy_(distribution(stream, rng::consecutive(begin, end - begin), row));
  });
  return out;
}

}  // namespace

WithoutInitialValues::WithoutInitialValues() {
  ++without_values;
}
WithoutInitialValues::~WithoutInitialValues() {
  --without_values;
}

Tensor initial_zeros(at::IntArrayRef shape, const at::TensorOptions& where) {
  return without_values > 0 ? at::empty(shape, where) : at::zeros(shape, where);
}

void Initializer::normal(const Tensor& parameter, std::string_view name, double std) const {
  if (parameter.is_meta() || without_values > 0) return;
  const at::NoGradGuard no_grad;
  parameter.copy_(draw(rng::normal, seed_, name, parameter.sizes()).mul_(std));
}

void Initializer::uniform(const Tensor& parameter, std::string_view name, double bound) const {
  if (parameter.is_meta() || without_values > 0) return;
  const at::NoGradGuard no_grad;
  parameter.copy_(draw(rng::uniform, seed_, name, parameter.sizes()).mul_(2 * bound).sub_(bound));
}

void Initializer::xavier_uniform(const Tensor& parameter, std::string_view name) const {
  const auto fan_out = parameter.size(0), fan_in = parameter.numel() / fan_out;
  uniform(parameter, name, std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)));
}

void Initializer::fan_in(const Tensor& parameter, std::string_view name) const {
  const auto inputs = parameter.numel() / parameter.size(0);
  uniform(parameter, name, 1 / std::sqrt(static_cast<double>(inputs)));
}

void Initializer::conv(const Tensor& weight, const Tensor& bias, std::string_view name) const {
  const auto inputs = weight.numel() / weight.size(0);
  const auto bound = 1 / std::sqrt(static_cast<double>(inputs));
  uniform(weight, std::string(name) + ".weight", bound);
  uniform(bias, std::string(name) + ".bias", bound);
}

void Initializer::constant(const Tensor& parameter, double value) {
  if (parameter.is_meta() || without_values > 0) return;
  const at::NoGradGuard no_grad;
  parameter.fill_(value);
}

void Initializer::identity_conv(const Tensor& weight, const Tensor& bias) {
  constant(weight, 0);
  constant(bias, 0);
  if (weight.is_meta() || without_values > 0) return;
  const at::NoGradGuard no_grad;
  const auto middle = weight.size(-1) / 2;
  weight.select(3, middle).select(2, middle).fill_diagonal_(1);
}

}  // namespace sdg::nn
