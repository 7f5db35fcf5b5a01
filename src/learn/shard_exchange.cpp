#include "sdg/learn/shard_exchange.h"

#include <algorithm>
#include <utility>

namespace sdg::learn {

ShardExchange::ShardExchange(const network::FlatParameters& flat, const Slices& slices, const StepShards& shards,
                             Reducer& reducer)
    : flat_(flat), slices_(slices), shards_(shards), reducer_(reducer), begins_{0} {
  for (const auto& parameter : flat.parameters()) begins_.push_back(begins_.back() + parameter.numel());
  int64_t all = 0;
  for (const auto& own : shards.numbers) {
    rounds_ = std::max(rounds_, static_cast<int64_t>(own.size()));
    all += static_cast<int64_t>(own.size());
  }
  int64_t next = 0;
  for (int64_t k = 0; k < rounds_; ++k) {
    for (int64_t rank = 0; rank < reducer.ranks(); ++rank) {
      if (has(rank, k))
        in_turn_ = in_turn_ && shards.numbers[static_cast<size_t>(rank)][static_cast<size_t>(k)] == next++;
    }
  }
  if (!in_turn_) held_.resize(static_cast<size_t>(all));
  sum_ = at::empty({slices.own().size()}, flat.values().options());
}

bool ShardExchange::has(int64_t rank, int64_t k) const {
  return k < static_cast<int64_t>(shards_.numbers[static_cast<size_t>(rank)].size());
}

void ShardExchange::copy_part(const std::vector<Tensor>& gradients, RowRange place, const Tensor& out) const {
  auto i = static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), place.begin) - begins_.begin() - 1);
  for (auto at = place.begin; at < place.end; ++i) {
    const auto end = std::min(place.end, begins_[i + 1]);
    auto target = out.narrow(0, at - place.begin, end - at);
    if (i < gradients.size() && gradients[i].defined()) {
      target.copy_(gradients[i].reshape({-1}).narrow(0, at - begins_[i], end - at));
    } else {
      target.zero_();
    }
    at = end;
  }
}

void ShardExchange::include(int64_t number, RowRange place, const Tensor& part) {
  if (in_turn_) {
    auto target = sum_.narrow(0, place.begin, place.size());
    if (number == 0) {
      target.copy_(part);
    } else {
      target.add_(part);
    }
    return;
  }
  auto& own = held_[static_cast<size_t>(number)];
  if (!own.defined()) own = at::empty_like(sum_);
  own.narrow(0, place.begin, place.size()).copy_(part);
}

void ShardExchange::round(int64_t k, const std::vector<Tensor>& gradients) {
  const at::NoGradGuard no_grad;
  const auto ranks = reducer_.ranks(), chunk = numbers_at_once(sum_, reducer_);
  for (int64_t first = 0; first < slices_.largest(); first += chunk) {
    const auto piece_of = [&](int64_t rank) {  // within the rank's slice
      const auto size = slices_.of(rank).size();
      return RowRange{std::min(first, size), std::min(first + chunk, size)};
    };
    std::vector<int64_t> to, from;
    int64_t sent = 0;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      to.push_back(has(k) ? piece_of(rank).size() : 0);
      from.push_back(has(rank, k) ? piece_of(reducer_.rank()).size() : 0);
      sent += to.back();
    }
    const auto input = at::empty({sent}, sum_.options());
    for (int64_t rank = 0, at = 0; rank < ranks; at += to[static_cast<size_t>(rank++)]) {
      const auto begin = slices_.of(rank).begin, size = to[static_cast<size_t>(rank)];
      const auto piece = piece_of(rank);
      copy_part(gradients, {begin + piece.begin, begin + piece.begin + size}, input.narrow(0, at, size));
    }
    const auto got = reducer_.all_to_all(input, to, from);
    for (int64_t rank = 0, at = 0; rank < ranks; at += from[static_cast<size_t>(rank++)]) {
      if (!has(rank, k)) continue;
      const auto number = shards_.numbers[static_cast<size_t>(rank)][static_cast<size_t>(k)];
      include(number, piece_of(reducer_.rank()), got.narrow(0, at, from[static_cast<size_t>(rank)]));
    }
  }
}

Tensor ShardExchange::slice() {
  const at::NoGradGuard no_grad;
  if (!in_turn_) {
    for (size_t number = 0; number < held_.size(); ++number) {
      if (!held_[number].defined()) continue;  // an empty slice
      if (number == 0) {
        sum_.copy_(held_[number]);
      } else {
        sum_.add_(held_[number]);
      }
    }
    held_.clear();
  }
  return sum_;
}

Tensor ShardExchange::whole() {
  auto out = at::empty_like(flat_.values());
  gather_slices(out, slice(), slices_, reducer_);
  return out;
}

}  // namespace sdg::learn
