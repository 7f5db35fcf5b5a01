#include "core/philox_device.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/log.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/stack.h>

#include <functional>
#include <numbers>
#include <numeric>

#include "core/philox_cuda.h"
#include "core/rng_key_impl.h"
#include "sdg/core/device.h"

namespace sdg::rng {
namespace {

constexpr int64_t kLow = 0xFFFFFFFF;

Tensor low(const Tensor& x) {
  return x.bitwise_and(kLow);
}
Tensor high(const Tensor& x) {
  return low(x.bitwise_right_shift(32));  // of a negative number the upper bits are ones
}

bool follow_each_other(at::IntArrayRef samples) {
  for (size_t i = 1; i < samples.size(); ++i) {
    if (samples[i] != samples[0] + static_cast<int64_t>(i)) return false;
  }
  return !samples.empty();
}

}  // namespace

// Those that follow each other, as a batch's do, are made there.
Tensor counters(at::IntArrayRef samples, const at::Device& device) {
  const auto options = at::TensorOptions(device).dtype(at::kLong);
  if (follow_each_other(samples))
    return at::arange(samples[0], samples[0] + static_cast<int64_t>(samples.size()), options);
  return to_device(at::tensor(samples, at::kLong), device);
}

Tensor words_by_tensors(const Stream& stream, const Tensor& samples, int64_t count) {
  auto key = key_of(stream);
  const auto index = at::arange((count + 3) / 4, samples.options()).unsqueeze(0);  // [1, blocks]
  const auto sample = samples.unsqueeze(1);                                        // [n, 1]
  auto a = low(index), b = high(index), c = low(sample), d = high(sample);
  for (int round = 0; round < 10; ++round) {
    const auto p = a * int64_t{kMultiplier0}, q = c * int64_t{kMultiplier1};
    a = high(q).bitwise_xor(b).bitwise_xor(int64_t{key[0]});
    c = high(p).bitwise_xor(d).bitwise_xor(int64_t{key[1]});
    b = low(q);
    d = low(p);
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return at::stack({a, b, c, d}, 2).flatten(1).slice(1, 0, count);  // [n, count]
}

Tensor draw_by_tensors(Draw draw, const Stream& stream, const Tensor& samples, int64_t count) {
  if (draw == Draw::kUniform)
    return words_by_tensors(stream, samples, count).bitwise_right_shift(8).to(at::kFloat).mul_(0x1p-24);
  const auto pairs = words_by_tensors(stream, samples, (count + 1) / 2 * 2).view({samples.size(0), -1, 2});
  const auto unit = pairs.to(at::kDouble).add_(0.5).mul_(0x1p-32);  // [n, pairs, 2]
  const auto radius = unit.select(2, 0).log().mul_(-2).sqrt_();
  const auto angle = unit.select(2, 1) * (2 * std::numbers::pi);
  return at::stack({radius * angle.cos(), radius * angle.sin()}, 2).to(at::kFloat).flatten(1).slice(1, 0, count);
}

Tensor on_device(Draw draw, const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape,
                 const at::Device& device) {
  return on_device(draw, stream, counters(samples, device), shape);
}

Tensor on_device(Draw draw, const Stream& stream, const Tensor& counters, at::IntArrayRef shape) {
  const auto count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  Shape full{counters.size(0)};
  full.insert(full.end(), shape.begin(), shape.end());
  if (has_cuda_kernels(counters.device())) return draw_by_kernel(draw, key_of(stream), counters, count).view(full);
  return draw_by_tensors(draw, stream, counters, count).reshape(full);
}

}  // namespace sdg::rng
