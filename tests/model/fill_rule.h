#pragma once
// Weights and inputs that are formulas (docs/math.md, "Formula weights"), for which the public code's outputs are
// known.
#include <torch/nn/module.h>
#include <torch/types.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

namespace sdg::test {

inline at::Tensor formula(at::IntArrayRef shape, double step, double offset) {
  auto x = at::empty(shape, at::kDouble);
  auto* at = x.data_ptr<double>();
  for (int64_t j = 0; j < x.numel(); ++j) at[j] = std::sin(step * static_cast<double>(j) + offset);
  return x;
}

/// X(shape) = sin(0.13 j)
inline at::Tensor fill_input(at::IntArrayRef shape) {
  return formula(shape, 0.13, 0).to(at::kFloat);
}

/// The state-dict entry `key` of that shape.
inline at::Tensor fill_entry(const std::string& key, at::IntArrayRef shape) {
  const int sum =
      std::accumulate(key.begin(), key.end(), 0, [](int a, char c) { return a + static_cast<unsigned char>(c); });
  const auto s = formula(shape, 0.7, sum % 101);
  if (key.ends_with("running_var")) return (1 + 0.05 * s.abs()).to(at::kFloat);
  if (shape.size() <= 1 && (key.ends_with("weight") || key.ends_with("gamma"))) return (1 + 0.1 * s).to(at::kFloat);
  if (shape.size() <= 1) return (0.1 * s).to(at::kFloat);
  return (0.7 * s / std::sqrt(static_cast<double>(s.numel()) / static_cast<double>(shape[0]))).to(at::kFloat);
}

inline void fill(torch::nn::Module& module) {
  const at::NoGradGuard no_grad;
  for (auto& item : module.named_parameters()) item.value().copy_(fill_entry(item.key(), item.value().sizes()));
}

/// Goldens are printed as sum / sum of absolute values / first five entries.
inline void expect_golden(const at::Tensor& x, double sum, double absolute, const std::vector<double>& first,
                          double tolerance = 2e-5) {
  const auto wide = x.detach().to(at::kDouble).flatten();
  EXPECT_NEAR(wide.sum().item<double>(), sum, tolerance * (1 + absolute));
  EXPECT_NEAR(wide.abs().sum().item<double>(), absolute, tolerance * (1 + absolute));
  for (size_t i = 0; i < first.size(); ++i)
    EXPECT_NEAR(wide[static_cast<int64_t>(i)].item<double>(), first[i], 2e-6) << "entry " << i;
}

}  // namespace sdg::test
