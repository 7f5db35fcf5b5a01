#pragma once
#include <array>
#include <cstdint>

namespace sdg::rng {

/// Vectors that this file has code for.
enum class Vectors { kPlain, kAvx2, kAvx512 };
/// The widest that this CPU has.
Vectors widest_vectors();

/// The first `count` draws of one sample under Philox's key: standard normals, and uniforms on [0, 1). Many draws are
/// made at once by the CPU's vectors; each has the very bits of its scalar twin below.
void fill_normal(const std::array<uint32_t, 2>& key, uint64_t sample, float* row, int64_t count,
                 Vectors vectors = widest_vectors());
void fill_uniform(const std::array<uint32_t, 2>& key, uint64_t sample, float* row, int64_t count,
                  Vectors vectors = widest_vectors());

/// The two normals that Box and Muller's formula makes of two words, by the C library's logarithm, cosine and sine.
std::array<float, 2> normal_pair(uint32_t of_radius, uint32_t of_angle);

/// Words of block `index` of a sample.
std::array<uint32_t, 4> words_of(const std::array<uint32_t, 2>& key, uint64_t sample, uint64_t index);

}  // namespace sdg::rng
