#include "sdg/core/permutation.h"

#include <cmath>

#include "core/rng_key_impl.h"
#include "sdg/core/error.h"

namespace sdg::rng {

Permutation::Permutation(const Stream& stream, int64_t n) : n_(n), key_(key_of(stream)) {
  SDG_CHECK(n >= 1 && n <= int64_t{1} << 62, "permutation: n must be from 1 to 2^62, got ", n);
  const auto count = static_cast<uint64_t>(n);
  left_ = static_cast<uint64_t>(std::sqrt(static_cast<double>(n)));
  while (left_ * left_ < count) ++left_;
  right_ = (count + left_ - 1) / left_;
}

// Below 2^31 for every digit, so that the remainder of 64 bits is even to one part in 2^33.
uint64_t Permutation::draw(uint32_t round, uint64_t digit) const {
  const auto bits = philox({static_cast<uint32_t>(digit), static_cast<uint32_t>(digit >> 32), round, 0}, key_);
  return (uint64_t{bits[0]} << 32) | bits[1];
}

int64_t Permutation::operator()(int64_t i) const {
  SDG_CHECK(i >= 0 && i < n_, "permutation: expected an index in [0, ", n_, "), got ", i);
  auto value = static_cast<uint64_t>(i);
  do {
    uint64_t l = value / right_, r = value % right_;
    for (uint32_t round = 0; round < kRounds; round += 2) {
      l = (l + draw(round, r) % left_) % left_;
      r = (r + draw(round + 1, l) % right_) % right_;
    }
    value = l * right_ + r;
  } while (value >= static_cast<uint64_t>(n_));
  return static_cast<int64_t>(value);
}

}  // namespace sdg::rng
