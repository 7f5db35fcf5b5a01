#pragma once
#include <deque>
#include <functional>
#include <utility>

#include "sdg/core/tensor.h"

namespace sdg::metrics {

struct LbfgsResult {
  Tensor x;
  double value = 0;
  int64_t iterations = 0;
  bool converged = false;
};

/// Minimises a smooth convex function of a float64 tensor from `x`: L-BFGS (Nocedal & Wright, algorithm 7.5) with
/// halving steps. `evaluate` gives value and gradient.
inline LbfgsResult minimise(Tensor x, const std::function<std::pair<double, Tensor>(const Tensor&)>& evaluate,
                            int64_t iterations, double tolerance) {
  constexpr size_t kMemory = 10;
  constexpr int kHalvings = 30;
  const auto dot = [](const Tensor& a, const Tensor& b) { return at::dot(a.flatten(), b.flatten()).item<double>(); };
  struct Pair {
    Tensor s, y;
    double sy;
  };
  std::deque<Pair> memory;
  auto [value, gradient] = evaluate(x);
  LbfgsResult result;
  while (!(result.converged = gradient.abs().max().item<double>() <= tolerance) && result.iterations < iterations) {
    auto direction = -gradient;
    std::vector<double> alpha(memory.size());
    for (size_t i = memory.size(); i-- > 0;) {
      alpha[i] = dot(memory[i].s, direction) / memory[i].sy;
      direction = direction - alpha[i] * memory[i].y;
    }
    if (!memory.empty()) direction = direction * (memory.back().sy / dot(memory.back().y, memory.back().y));
    for (size_t i = 0; i < memory.size(); ++i) {
      const double beta = dot(memory[i].y, direction) / memory[i].sy;
      direction = direction + (alpha[i] - beta) * memory[i].s;
    }

    const double slope = dot(gradient, direction);
    double step = memory.empty() ? 1 / std::max(1.0, gradient.norm().item<double>()) : 1;
    auto next = x + step * direction;
    auto there = evaluate(next);
    for (int i = 0; i < kHalvings && !(there.first <= value + 1e-4 * step * slope); ++i) {
      step /= 2;
      next = x + step * direction;
      there = evaluate(next);
    }
    if (!(there.first < value)) break;  // rounding is all that is left
    const auto s = next - x, y = there.second - gradient;
    const double sy = dot(s, y);
    if (sy > 1e-14 * dot(y, y)) memory.push_back({s, y, sy});
    if (memory.size() > kMemory) memory.pop_front();
    x = next;
    std::tie(value, gradient) = there;
    ++result.iterations;
  }
  result.x = x;
  result.value = value;
  return result;
}

}  // namespace sdg::metrics
