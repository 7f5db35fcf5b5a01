#pragma once
#include <array>
#include <cstdint>

#include "sdg/core/rng.h"

namespace sdg::rng {

// Philox4x32's multipliers, and what its key grows by from round to round.
constexpr uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

// The finaliser of splitmix64: spreads seed and purpose over the whole key.
inline uint64_t mix(uint64_t z) {
  z += 0x9E3779B97F4A7C15ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// Philox's key of a stream.
inline std::array<uint32_t, 2> key_of(const Stream& stream) {
  const uint64_t key = mix(mix(mix(stream.seed) ^ static_cast<uint64_t>(stream.purpose)) ^ stream.step);
  return {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
}

}  // namespace sdg::rng
