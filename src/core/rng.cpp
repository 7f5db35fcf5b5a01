#include "sdg/core/rng.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>

#include "core/philox_device.h"
#include "core/philox_rows.h"
#include "core/rng_key_impl.h"
#include "sdg/core/error.h"

namespace sdg::rng {
namespace {

int64_t numel(at::IntArrayRef shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

Tensor allocate(at::IntArrayRef samples, at::IntArrayRef shape) {
  Shape full{static_cast<int64_t>(samples.size())};
  full.insert(full.end(), shape.begin(), shape.end());
  return at::empty(full, at::kFloat);
}

using Fill = void (*)(const std::array<uint32_t, 2>& key, uint64_t sample, float* row, int64_t count, Vectors vectors);

// Rows know nothing of each other, so threads change no bit. Few values are not worth a second thread.
Tensor rows_by(Fill fill, const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape) {
  constexpr int64_t kWorthAThread = 1 << 16;
  Tensor out = allocate(samples, shape);
  const int64_t count = numel(shape);
  const auto key = key_of(stream);
  const auto vectors = widest_vectors();
  auto* rows = out.data_ptr<float>();
  at::parallel_for(0, static_cast<int64_t>(samples.size()),
                   std::max<int64_t>(1, kWorthAThread / std::max<int64_t>(1, count)), [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                       fill(key, static_cast<uint64_t>(samples[static_cast<size_t>(i)]), rows + i * count, count,
                            vectors);
                   });
  return out;
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
  return rows_by(fill_normal, stream, samples, shape);
}

Tensor uniform(const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape) {
  return rows_by(fill_uniform, stream, samples, shape);
}

Tensor normal(const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape, const at::Device& device) {
  return device.is_cpu() ? normal(stream, samples, shape) : on_device(Draw::kNormal, stream, samples, shape, device);
}

Tensor uniform(const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape, const at::Device& device) {
  return device.is_cpu() ? uniform(stream, samples, shape) : on_device(Draw::kUniform, stream, samples, shape, device);
}

Tensor uniform(const Stream& stream, const Tensor& counters, at::IntArrayRef shape) {
  return on_device(Draw::kUniform, stream, counters, shape);
}

std::vector<int64_t> permutation(const Stream& stream, int64_t n) {
  SDG_CHECK(n >= 0, "permutation: n must be at least 0, got ", n);
  const auto key = key_of(stream);
  std::vector<std::pair<uint64_t, int64_t>> ranked(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    const auto bits = words_of(key, static_cast<uint64_t>(i), 0);
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
