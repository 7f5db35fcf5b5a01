#pragma once
#include "sdg/core/rng.h"

namespace sdg::rng {

enum class Draw { kNormal, kUniform };

/// Draws made on a device that is not the CPU, float32 [samples.size(), shape...].
Tensor on_device(Draw draw, const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape,
                 const at::Device& device);
/// The same of counters [n] that lie there.
Tensor on_device(Draw draw, const Stream& stream, const Tensor& counters, at::IntArrayRef shape);

/// Philox's words by tensor operations wherever `samples` [n] lie: int64 [n, count], each in [0, 2^32). The product of
/// two 32-bit numbers is taken modulo 2^64 in int64, whose upper half is then shifted down and cut.
Tensor words_by_tensors(const Stream& stream, const Tensor& samples, int64_t count);
/// float32 [n, count] of them.
Tensor draw_by_tensors(Draw draw, const Stream& stream, const Tensor& samples, int64_t count);

}  // namespace sdg::rng
