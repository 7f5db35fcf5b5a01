#pragma once
#include <array>
#include <cstdint>

#include "sdg/core/rng.h"

namespace sdg::rng {

/// A keyed permutation of 0..n-1 of which each value is computed alone, without a table: a generalised Feistel network
/// on pairs of digits (Black & Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, section 5). i is (l, r)
/// with l < a and r < b, a b the least product of that kind that is at least n; rounds add to one of the two, in turn,
/// what Philox makes of the other, and a value of n or more goes through the network again until it is below n (cycle
/// walking, which keeps a permutation one). Fewer than 1 + 1/sqrt(n) walks are expected.
///
/// It is no uniform draw among all n! permutations, as rng::permutation is to 64 bits, but no table is needed.
class Permutation {
 public:
  /// n at least 1 and at most 2^62.
  Permutation(const Stream& stream, int64_t n);
  /// Where i goes, 0 <= i < n.
  int64_t operator()(int64_t i) const;
  int64_t size() const { return n_; }

 private:
  static constexpr uint32_t kRounds = 8;
  uint64_t draw(uint32_t round, uint64_t digit) const;

  int64_t n_;
  uint64_t left_, right_;  // a, b
  std::array<uint32_t, 2> key_;
};

}  // namespace sdg::rng
