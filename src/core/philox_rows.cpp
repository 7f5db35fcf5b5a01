// Normals by vectors, with the bits of the scalar formula.
//
// The C library's log, cos and sin cannot be had in vectors, and another routine may differ in the last bit of a
// double. But a draw is a float, whose rounding throws 29 bits away: two doubles that differ by a few units in the last
// place round alike unless they lie that close to the middle between two floats. So all draws are computed by
// polynomials whose error is below 10 such units, and where a result lies within kUnsure units of a middle, about once
// in a million, the scalar formula is asked.
#include "core/philox_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "core/rng_key_impl.h"

// A fused product and sum rounds once where the scalar formula rounds twice.
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

// std::sqrt may set errno, which keeps a loop from becoming vectors.
#if defined(__clang__)
#define SDG_SQRT(x) __builtin_elementwise_sqrt(x)
#else
#define SDG_SQRT(x) std::sqrt(x)
#endif
#define SDG_ALWAYS_INLINE [[gnu::always_inline]] inline

namespace sdg::rng {
namespace {

constexpr int kLanes = 128;  // blocks made at once: what they need stays in the first cache
constexpr uint64_t kUnsure = 256;
constexpr uint64_t kThrownAway = (uint64_t{1} << 29) - 1, kMiddle = uint64_t{1} << 28;

struct Words {
  alignas(64) std::array<std::array<uint32_t, kLanes>, 4> of;
};
struct Floats {
  alignas(64) std::array<std::array<float, kLanes>, 4> of;
};

SDG_ALWAYS_INLINE void make_words(const std::array<uint32_t, 2>& key, uint64_t sample, uint64_t first, int lanes,
                                  Words& out) {
  for (int lane = 0; lane < lanes; ++lane) {
    const uint64_t index = first + static_cast<uint64_t>(lane);
    auto a = static_cast<uint32_t>(index), b = static_cast<uint32_t>(index >> 32);
    auto c = static_cast<uint32_t>(sample), d = static_cast<uint32_t>(sample >> 32);
    uint32_t k = key[0], l = key[1];
    for (int round = 0; round < 10; ++round) {
      const uint64_t p = uint64_t{kMultiplier0} * a, q = uint64_t{kMultiplier1} * c;
      const uint32_t next = static_cast<uint32_t>(q >> 32) ^ b ^ k;
      c = static_cast<uint32_t>(p >> 32) ^ d ^ l;
      b = static_cast<uint32_t>(q);
      d = static_cast<uint32_t>(p);
      a = next;
      k += kWeyl0;
      l += kWeyl1;
    }
    out.of[0][lane] = a;
    out.of[1][lane] = b;
    out.of[2][lane] = c;
    out.of[3][lane] = d;
  }
}

// bits + 0.5: vectors convert signed integers only.
SDG_ALWAYS_INLINE double centre(uint32_t bits) {
  return static_cast<double>(static_cast<int32_t>(bits ^ 0x80000000U)) + 2147483648.5;
}

// log(v / 2^32) for v in [0.5, 2^32): v = 2^k m with m in [sqrt(1/2), sqrt(2)), log m = 2 artanh((m - 1) / (m + 1)).
SDG_ALWAYS_INLINE double log_of_share(double v) {
  constexpr uint64_t kRootHalf = 0x3FE6A09E00000000, kOne = 0x3FF0000000000000, kMantissa = 0x000FFFFFFFFFFFFF;
  constexpr double kLog2Head = 0x1.62e42feep-1, kLog2Tail = 0x1.a39ef35793c76p-33;
  const uint64_t bits = std::bit_cast<uint64_t>(v) + (kOne - kRootHalf);
  const double m = std::bit_cast<double>((bits & kMantissa) + kRootHalf);
  const double k = std::bit_cast<double>((bits >> 52) | 0x4330000000000000) - (0x1p52 + 1023 + 32);
  const double f = m - 1, s = f / (2 + f), z = s * s;
  double sum = 1.0 / 21;
  sum = sum * z + 1.0 / 19;
  sum = sum * z + 1.0 / 17;
  sum = sum * z + 1.0 / 15;
  sum = sum * z + 1.0 / 13;
  sum = sum * z + 1.0 / 11;
  sum = sum * z + 1.0 / 9;
  sum = sum * z + 1.0 / 7;
  sum = sum * z + 1.0 / 5;
  sum = sum * z + 1.0 / 3;
  return k * kLog2Head + (k * kLog2Tail + 2 * (s + s * (z * sum)));
}

struct Circle {
  double cosine, sine;
};

// Of the angle 2 pi v / 2^32, rounded as the scalar formula rounds it: its error counts near the zeros.
SDG_ALWAYS_INLINE Circle on_circle(uint32_t bits, double v) {
  constexpr double kQuarterHead = 0x1.921fb544p+0, kQuarterTail = 0x1.0b4611a626331p-34;  // of pi / 2
  const double angle = 2.0 * std::numbers::pi * (v * 0x1p-32);
  const uint32_t quarter = ((bits >> 29) + 1) >> 1;  // the nearest quarter, 0 to 4
  const auto n = static_cast<double>(static_cast<int32_t>(quarter));
  const double r = (angle - n * kQuarterHead) - n * kQuarterTail, z = r * r;  // |r| <= pi / 4, up to rounding
  double odd = 1.0 / 355687428096000;
  odd = odd * z - 1.0 / 1307674368000;
  odd = odd * z + 1.0 / 6227020800;
  odd = odd * z - 1.0 / 39916800;
  odd = odd * z + 1.0 / 362880;
  odd = odd * z - 1.0 / 5040;
  odd = odd * z + 1.0 / 120;
  odd = odd * z - 1.0 / 6;
  const double sine = r + r * (z * odd);
  double even = -1.0 / 6402373705728000;
  even = even * z + 1.0 / 20922789888000;
  even = even * z - 1.0 / 87178291200;
  even = even * z + 1.0 / 479001600;
  even = even * z - 1.0 / 3628800;
  even = even * z + 1.0 / 40320;
  even = even * z - 1.0 / 720;
  even = even * z + 1.0 / 24;
  const double cosine = 1 - (0.5 * z - z * z * even);
  const uint64_t swap = 0 - static_cast<uint64_t>(quarter & 1);
  const auto c = std::bit_cast<uint64_t>(cosine), s = std::bit_cast<uint64_t>(sine);
  const uint64_t exchanged = (c ^ s) & swap;
  const uint64_t sign_c = static_cast<uint64_t>((quarter + 1) & 2) << 62, sign_s = static_cast<uint64_t>(quarter & 2)
                                                                                   << 62;
  return {std::bit_cast<double>((c ^ exchanged) ^ sign_c), std::bit_cast<double>((s ^ exchanged) ^ sign_s)};
}

// 1 where the float next to it may not be the scalar formula's.
SDG_ALWAYS_INLINE uint64_t unsure(double value) {
  return ((std::bit_cast<uint64_t>(value) + kMiddle + kUnsure) & (kThrownAway & ~(2 * kUnsure - 1))) == 0 ? 1 : 0;
}

// False where some value is unsure.
SDG_ALWAYS_INLINE bool make_normals(const Words& words, int lanes, Floats& out) {
  uint64_t doubts = 0;
  for (int half = 0; half < 2; ++half) {
    const auto &radii = words.of[2 * half], &angles = words.of[2 * half + 1];
    auto &first = out.of[2 * half], &second = out.of[2 * half + 1];
    for (int lane = 0; lane < lanes; ++lane) {
      const double radius = SDG_SQRT(-2.0 * log_of_share(centre(radii[lane])));
      const auto place = on_circle(angles[lane], centre(angles[lane]));
      const double x = radius * place.cosine, y = radius * place.sine;
      first[lane] = static_cast<float>(x);
      second[lane] = static_cast<float>(y);
      doubts += unsure(x) + unsure(y);
    }
  }
  return doubts == 0;
}

SDG_ALWAYS_INLINE void make_uniforms(const Words& words, int lanes, Floats& out) {
  for (int word = 0; word < 4; ++word) {
    for (int lane = 0; lane < lanes; ++lane)
      out.of[word][lane] = static_cast<float>(static_cast<int32_t>(words.of[word][lane] >> 8)) * 0x1p-24F;
  }
}

struct Row {
  const std::array<uint32_t, 2>& key;
  uint64_t sample;
  float* values;
  int64_t count;
};

SDG_ALWAYS_INLINE void copy_out(const Floats& from, int64_t count, float* to) {
  const int whole = static_cast<int>(count / 4);
  for (int lane = 0; lane < whole; ++lane) {
    for (int word = 0; word < 4; ++word) to[4 * lane + word] = from.of[word][lane];
  }
  for (int word = 0; word < static_cast<int>(count % 4); ++word) to[4 * whole + word] = from.of[word][whole];
}

void by_scalars(const Words& words, int lanes, Floats& out) {
  for (int lane = 0; lane < lanes; ++lane) {
    for (int half = 0; half < 2; ++half) {
      const auto pair = normal_pair(words.of[2 * half][lane], words.of[2 * half + 1][lane]);
      out.of[2 * half][lane] = pair[0];
      out.of[2 * half + 1][lane] = pair[1];
    }
  }
}

template <bool kNormal>
SDG_ALWAYS_INLINE void fill(const Row& row) {
  Words words;
  Floats made;
  for (int64_t begin = 0; begin < row.count; begin += 4 * kLanes) {
    const int64_t count = std::min<int64_t>(4 * kLanes, row.count - begin);
    const int lanes = static_cast<int>((count + 3) / 4);
    make_words(row.key, row.sample, static_cast<uint64_t>(begin / 4), lanes, words);
    if constexpr (kNormal) {
      if (!make_normals(words, lanes, made)) by_scalars(words, lanes, made);
    } else {
      make_uniforms(words, lanes, made);
    }
    copy_out(made, count, row.values + begin);
  }
}

#if defined(__x86_64__)
template <bool kNormal>
[[gnu::target("avx2")]] void fill_avx2(const Row& row) {
  fill<kNormal>(row);
}
template <bool kNormal>
[[gnu::target("avx512f,avx512dq,avx512bw,avx512vl")]] void fill_avx512(const Row& row) {
  fill<kNormal>(row);
}
#endif

template <bool kNormal>
void fill_with(Vectors vectors, const Row& row) {
#if defined(__x86_64__)
  if (vectors == Vectors::kAvx512) return fill_avx512<kNormal>(row);
  if (vectors == Vectors::kAvx2) return fill_avx2<kNormal>(row);
#endif
  fill<kNormal>(row);
}

double to_open_unit(uint32_t bits) {
  return (static_cast<double>(bits) + 0.5) * 0x1p-32;  // +0.5 keeps the logarithm finite
}

}  // namespace

std::array<float, 2> normal_pair(uint32_t of_radius, uint32_t of_angle) {
  const double radius = std::sqrt(-2.0 * std::log(to_open_unit(of_radius)));
  const double angle = 2.0 * std::numbers::pi * to_open_unit(of_angle);
  return {static_cast<float>(radius * std::cos(angle)), static_cast<float>(radius * std::sin(angle))};
}

// The fourth word stays free for streams of more than 2^34 draws a sample.
std::array<uint32_t, 4> words_of(const std::array<uint32_t, 2>& key, uint64_t sample, uint64_t index) {
  return philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(sample),
                 static_cast<uint32_t>(sample >> 32)},
                key);
}

Vectors widest_vectors() {
#if defined(__x86_64__)
  static const Vectors widest = [] {
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return wide ? Vectors::kAvx512 : __builtin_cpu_supports("avx2") ? Vectors::kAvx2 : Vectors::kPlain;
  }();
  return widest;
#else
  return Vectors::kPlain;
#endif
}

void fill_normal(const std::array<uint32_t, 2>& key, uint64_t sample, float* row, int64_t count, Vectors vectors) {
  fill_with<true>(vectors, {key, sample, row, count});
}

void fill_uniform(const std::array<uint32_t, 2>& key, uint64_t sample, float* row, int64_t count, Vectors vectors) {
  fill_with<false>(vectors, {key, sample, row, count});
}

}  // namespace sdg::rng
