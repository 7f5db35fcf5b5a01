#include "sdg/core/rng.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "core/rng_key_impl.h"
#include "sdg/core/error.h"

namespace sdg::rng {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

// The fourth word stays free for streams of more than 2^34 draws a sample.
std::array<uint32_t, 4> block(const std::array<uint32_t, 2>& key, uint64_t sample, uint64_t index) {
  return philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(sample),
                 static_cast<uint32_t>(sample >> 32)},
                key);
}

// 24 bits fill a float's mantissa; +0.5 keeps the logarithm below finite.
float to_unit(uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1p-24F;
}
double to_open_unit(uint32_t bits) {
  return (static_cast<double>(bits) + 0.5) * 0x1p-32;
}

int64_t numel(at::IntArrayRef shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

Tensor allocate(at::IntArrayRef samples, at::IntArrayRef shape) {
  Shape full{static_cast<int64_t>(samples.size())};
  full.insert(full.end(), shape.begin(), shape.end());
  return at::empty(full, at::kFloat);
}

}  // namespace

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{kMultiplier0} * counter[0];
    const uint64_t product1 = uint64_t{kMultiplier1} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

Tensor normal(const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape) {
  Tensor out = allocate(samples, shape);
  const int64_t count = numel(shape);
  const auto key = key_of(stream);
  auto* row = out.data_ptr<float>();
  for (auto sample : samples) {
    // Box-Muller: two draws give two normals.
    for (int64_t i = 0; i < count; i += 4) {
      const auto bits = block(key, static_cast<uint64_t>(sample), static_cast<uint64_t>(i / 4));
      for (int pair = 0; pair < 2; ++pair) {
        const double radius = std::sqrt(-2.0 * std::log(to_open_unit(bits[2 * pair])));
        const double angle = 2.0 * std::numbers::pi * to_open_unit(bits[2 * pair + 1]);
        const int64_t at = i + 2 * pair;
        if (at < count) row[at] = static_cast<float>(radius * std::cos(angle));
        if (at + 1 < count) row[at + 1] = static_cast<float>(radius * std::sin(angle));
      }
    }
    row += count;
  }
  return out;
}

Tensor uniform(const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape) {
  Tensor out = allocate(samples, shape);
  const int64_t count = numel(shape);
  const auto key = key_of(stream);
  auto* row = out.data_ptr<float>();
  for (auto sample : samples) {
    for (int64_t i = 0; i < count; i += 4) {
      const auto bits = block(key, static_cast<uint64_t>(sample), static_cast<uint64_t>(i / 4));
      for (int64_t j = 0; j < std::min<int64_t>(4, count - i); ++j) row[i + j] = to_unit(bits[j]);
    }
    row += count;
  }
  return out;
}

std::vector<int64_t> permutation(const Stream& stream, int64_t n) {
  SDG_CHECK(n >= 0, "permutation: n must be at least 0, got ", n);
  const auto key = key_of(stream);
  std::vector<std::pair<uint64_t, int64_t>> ranked(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const auto bits = block(key, static_cast<uint64_t>(i), 0);
    ranked[i] = {(uint64_t{bits[0]} << 32) | bits[1], i};
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::transform(ranked.begin(), ranked.end(), order.begin(), [](const auto& entry) { return entry.second; });
  return order;
}

uint64_t hash(std::string_view name) {
  uint64_t value = 0xCBF29CE484222325ULL;
  for (const char c : name) value = (value ^ static_cast<uint8_t>(c)) * 0x100000001B3ULL;
  return value;
}

std::vector<int64_t> consecutive(int64_t first, int64_t count) {
  std::vector<int64_t> out(static_cast<size_t>(count));
  std::iota(out.begin(), out.end(), first);
  return out;
}

}  // namespace sdg::rng
