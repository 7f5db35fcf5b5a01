// A file of its own: compiled without fused multiply-add, as LibTorch's kernel is.
#include <array>
#include <cmath>

#include "sdg/learn/slices.h"

namespace sdg::learn {
namespace {

// Sums of squares of numbers whose place in the vector is i modulo kSums, and the squares of the last few numbers,
// which fill no further group.
constexpr int64_t kSums = 8;
using Sums = std::array<float, 2 * kSums>;

void add_squares(Sums& sums, const float* x, RowRange place, int64_t size) {
  const int64_t whole = size / kSums * kSums;
  auto at = place.begin;
  const auto one = [&] {
    const float value = x[at - place.begin], square = value * value;
    auto& sum = sums[static_cast<size_t>(at < whole ? at % kSums : kSums + at % kSums)];
    sum += square;
    ++at;
  };
  while (at < place.end && at % kSums != 0) one();
  float* lanes = sums.data();
  for (; at + kSums <= place.end && at < whole; at += kSums) {
    const float* group = x + (at - place.begin);
    for (int64_t i = 0; i < kSums; ++i) {
      const float square = group[i] * group[i];
      lanes[i] += square;
    }
  }
  while (at < place.end) one();
}

}  // namespace

double norm_of_slices(const Tensor& own, const Slices& slices, Reducer& reducer) {
  const at::NoGradGuard no_grad;
  if (!own.is_cpu()) return std::sqrt(reducer.all_reduce(own.square().sum(at::kDouble)).item<double>());
  auto state = at::zeros({2 * kSums}, at::kFloat);
  const auto here = own.contiguous();
  for (int64_t rank = 0; rank < reducer.ranks(); ++rank) {  // each goes on with the sums of the one before
    if (rank == reducer.rank()) {
      Sums sums;
      std::copy_n(state.const_data_ptr<float>(), sums.size(), sums.begin());
      add_squares(sums, here.const_data_ptr<float>(), slices.own(), slices.size());
      std::copy(sums.begin(), sums.end(), state.data_ptr<float>());
    }
    state = reducer.broadcast(state, rank);
  }
  const auto* sums = state.const_data_ptr<float>();
  float total = sums[0];
  for (int64_t i = 1; i < kSums; ++i) total += sums[i];
  for (int64_t i = 0; i < slices.size() % kSums; ++i) total += sums[kSums + i];
  return std::sqrt(total);
}

}  // namespace sdg::learn
