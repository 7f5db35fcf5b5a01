#include "sdg/learn/slices.h"

#include <algorithm>
#include <functional>

#include "sdg/core/error.h"

namespace sdg::learn {
namespace {

constexpr int64_t kTogether = 64;

// Where to cut near `wanted`.
int64_t cut_near(int64_t wanted, const std::vector<RowRange>& parts) {
  const auto after = std::upper_bound(parts.begin(), parts.end(), wanted,
                                      [](int64_t at, const RowRange& part) { return at < part.begin; });
  const auto begin = (after - 1)->begin;
  return begin + (wanted - begin) / kTogether * kTogether;
}

// Calls take(rank, first, piece) with one piece after the other of all ranks' slices.
void for_each_piece(const Tensor& own, const Slices& slices, Reducer& reducer,
                    const std::function<void(int64_t rank, RowRange where, const Tensor& piece)>& take) {
  const auto chunk = numbers_at_once(own, reducer);
  for (int64_t first = 0; first < slices.largest(); first += chunk) {
    const auto length = std::min(chunk, slices.largest() - first);
    const auto piece_of = [&](int64_t rank) {
      const auto slice = slices.of(rank);
      return RowRange{slice.begin + std::min(first, slice.size()),
                      slice.begin + std::min(first + length, slice.size())};
    };
    const auto here = piece_of(reducer.rank());
    auto filled = own.narrow(0, here.begin - slices.own().begin, here.size());
    if (filled.size(0) < length) filled = at::cat({filled, at::zeros({length - filled.size(0)}, own.options())});
    const auto all = reducer.all_gather_alike(filled);  // [ranks, length]
    for (int64_t rank = 0; rank < reducer.ranks(); ++rank) {
      const auto where = piece_of(rank);
      take(rank, where, all[rank].narrow(0, 0, where.size()));
    }
  }
}

}  // namespace

Slices::Slices(const std::vector<RowRange>& parts, const Reducer& reducer) : rank_(reducer.rank()) {
  SDG_CHECK(!parts.empty() && parts.front().begin == 0, "slices: expected parts from 0 on");
  const auto size = parts.back().end;
  for (int64_t rank = 1; rank < reducer.ranks(); ++rank)
    cuts_.push_back(cut_near(size / reducer.ranks() * rank + size % reducer.ranks() * rank / reducer.ranks(), parts));
  cuts_.push_back(size);
}

RowRange Slices::of(int64_t rank) const {
  return {cuts_[static_cast<size_t>(rank)], cuts_[static_cast<size_t>(rank) + 1]};
}

int64_t Slices::largest() const {
  int64_t out = 0;
  for (size_t i = 1; i < cuts_.size(); ++i) out = std::max(out, cuts_[i] - cuts_[i - 1]);
  return out;
}

int64_t numbers_at_once(const Tensor& like, const Reducer& reducer) {
  const int64_t all = int64_t{1} << (like.is_cuda() ? 24 : 21);
  return std::max<int64_t>(kTogether, all / reducer.ranks());
}

void gather_slices(Tensor& whole, const Tensor& own, const Slices& slices, Reducer& reducer) {
  const at::NoGradGuard no_grad;
  for_each_piece(own, slices, reducer, [&](int64_t rank, RowRange where, const Tensor& piece) {
    auto target = whole.narrow(0, where.begin, where.size());
    if (rank != reducer.rank() || !own.is_alias_of(whole)) target.copy_(piece);
  });
}

Tensor gather_on_first(const Tensor& own, const Slices& slices, Reducer& reducer) {
  const at::NoGradGuard no_grad;
  Tensor whole;
  if (reducer.rank() == 0) whole = at::empty({slices.size()}, own.options().device(at::kCPU));
  for_each_piece(own, slices, reducer, [&](int64_t, RowRange where, const Tensor& piece) {
    if (whole.defined()) whole.narrow(0, where.begin, where.size()).copy_(piece);
  });
  return whole;
}

}  // namespace sdg::learn
