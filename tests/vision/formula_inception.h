#pragma once
// Weights that nobody needs to store: element i of tensor K is a hash of (salt + K, i), scaled so that activations stay
// O(1).
#include <torch/nn/module.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::test {

inline uint32_t fnv1a32(const std::string& text) {
  uint32_t h = 0x811C9DC5U;
  for (const char c : text) h = (h ^ static_cast<uint8_t>(c)) * 0x01000193U;
  return h;
}

/// murmur3's finaliser of (start + i * golden ratio), as a number in [-1, 1).
inline double formula_unit(uint32_t start, uint32_t i) {
  uint32_t x = start + i * 0x9E3779B9U;
  x = (x ^ (x >> 16)) * 0x85EBCA6BU;
  x = (x ^ (x >> 13)) * 0xC2B2AE35U;
  x ^= x >> 16;
  return 2.0 * x / 4294967296.0 - 1.0;
}

inline std::map<std::string, Tensor> formula_inception_weights(const torch::nn::Module& net, const std::string& salt) {
  std::map<std::string, Tensor> out;
  const auto fill = [&](const std::string& key, const Tensor& like) {
    if (!like.is_floating_point()) return;
    double scale = 0.2, offset = 0;
    if (key.ends_with("conv.weight")) scale = std::sqrt(6.0 / static_cast<double>(like.numel() / like.size(0)));
    if (key.ends_with("bn.weight") || key.ends_with("running_var")) scale = 0.25, offset = 1;
    if (key == "fc.weight") scale = std::sqrt(3.0 / 2048.0);
    Tensor filled = at::empty(like.sizes(), at::kFloat);
    auto* value = filled.data_ptr<float>();
    const uint32_t start = fnv1a32(salt + key);
    for (int64_t i = 0; i < filled.numel(); ++i) {
      value[i] = static_cast<float>(offset + scale * formula_unit(start, static_cast<uint32_t>(i)));
    }
    out[key] = filled;
  };
  for (const auto& p : net.named_parameters()) fill(p.key(), p.value());
  for (const auto& b : net.named_buffers()) fill(b.key(), b.value());
  return out;
}

}  // namespace sdg::test
