#pragma once
// Gradients against central differences: along a random direction of every input, d/dh f(x + h u) must equal <grad f,
// u>.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

#include "sdg/core/rng.h"

namespace sdg::test {

inline at::Tensor fixed_normal(at::IntArrayRef shape, uint64_t seed) {
  return rng::normal({seed, rng::Purpose::kTest, 0}, {0}, shape)[0].to(at::kDouble);
}

/// `f` reads the float64 leaves `inputs` (which it may hold itself, as a module holds its parameters) and returns any
/// tensor.
inline void expect_gradients_match(const std::function<at::Tensor()>& f, const std::vector<at::Tensor>& inputs,
                                   const std::vector<std::string>& names, double relative = 1e-6) {
  const auto cotangent = fixed_normal(f().sizes(), 99);
  const auto loss = [&] { return (f() * cotangent).sum(); };
  const auto gradients = torch::autograd::grad({loss()}, inputs);
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto direction = fixed_normal(inputs[i].sizes(), 100 + i);
    const double step = 1e-5;
    inputs[i].add_(direction, step);
    const double above = loss().item<double>();
    inputs[i].sub_(direction, 2 * step);
    const double below = loss().item<double>();
    inputs[i].add_(direction, step);
    const double numeric = (above - below) / (2 * step), exact = (gradients[i] * direction).sum().item<double>();
    EXPECT_NEAR(numeric, exact, relative * (1 + std::abs(exact))) << names.at(i);
    EXPECT_NE(exact, 0) << names.at(i) << " has no influence";
  }
}

}  // namespace sdg::test
