#include "sdg/learn/step_shards.h"

#include <algorithm>
#include <numeric>

#include "sdg/core/error.h"

namespace sdg::learn {
namespace {

struct Place {
  int64_t number, rank, index;
};

// All shards in their order.
std::vector<Place> places_of(const OfShards& numbers) {
  std::vector<Place> out;
  for (size_t rank = 0; rank < numbers.size(); ++rank) {
    for (size_t i = 0; i < numbers[rank].size(); ++i)
      out.push_back({numbers[rank][i], static_cast<int64_t>(rank), static_cast<int64_t>(i)});
  }
  std::sort(out.begin(), out.end(), [](const Place& a, const Place& b) { return a.number < b.number; });
  return out;
}

int64_t sum_of(const std::vector<int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}

}  // namespace

StepShards step_shards(const std::vector<int64_t>& samples, int64_t shard, Reducer& reducer) {
  const auto size = static_cast<int64_t>(samples.size());
  std::vector<int64_t> rows;  // of each shard: rank, first sample, images
  for (int64_t first = 0; first < size; first += shard)
    rows.insert(rows.end(), {reducer.rank(), samples[static_cast<size_t>(first)], std::min(shard, size - first)});
  const auto all = reducer.all_gather(at::tensor(rows, at::kLong).view({-1, 3})).contiguous();
  StepShards out;
  out.numbers.resize(static_cast<size_t>(reducer.ranks()));
  out.sizes.resize(static_cast<size_t>(reducer.ranks()));
  const auto* row = all.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < all.size(0); ++i, row += 3) {
    const auto rank = static_cast<size_t>(row[0]);
    out.numbers[rank].push_back(row[1]);
    out.sizes[rank].push_back(row[2]);
    out.images += row[2];
  }
  const bool all_have = std::none_of(out.sizes.begin(), out.sizes.end(), [](const auto& own) { return own.empty(); });
  SDG_CHECK(all_have, "a step's batch of ", out.images, " images leaves one of ", reducer.ranks(),
            " ranks without any; use a larger batch");
  int64_t number = 0;
  for (const auto& place : places_of(out.numbers))
    out.numbers[static_cast<size_t>(place.rank)][static_cast<size_t>(place.index)] = number++;
  return out;
}

StepShards one_part_each(int64_t ranks) {
  StepShards out;
  for (int64_t rank = 0; rank < ranks; ++rank) out.numbers.push_back({rank});
  return out;
}

Tensor gather_in_order(const Tensor& rows, const OfShards& counts, const StepShards& shards, Reducer& reducer) {
  if (reducer.ranks() == 1) return rows;
  std::vector<int64_t> of_rank;
  for (const auto& own : counts) of_rank.push_back(sum_of(own));
  const auto all = reducer.all_gather(rows, of_rank);
  OfShards first(counts.size());  // row of each shard in `all`
  int64_t row = 0;
  for (size_t rank = 0; rank < counts.size(); ++rank) {
    for (const auto count : counts[rank]) {
      first[rank].push_back(row);
      row += count;
    }
  }
  std::vector<Tensor> pieces;
  for (const auto& place : places_of(shards.numbers)) {
    const auto rank = static_cast<size_t>(place.rank), index = static_cast<size_t>(place.index);
    pieces.push_back(all.narrow(0, first[rank][index], counts[rank][index]));
  }
  return at::cat(pieces);
}

OfShards gather_counts(const std::vector<int64_t>& own, const StepShards& shards, Reducer& reducer) {
  if (reducer.ranks() == 1) return {own};
  size_t most = 0;
  for (const auto& of_rank : shards.numbers) most = std::max(most, of_rank.size());
  auto filled = own;
  filled.resize(most);
  const auto all = reducer.all_gather_alike(at::tensor(filled, at::kLong)).contiguous();  // [ranks, most]
  OfShards out;
  const auto* row = all.const_data_ptr<int64_t>();
  for (size_t rank = 0; rank < shards.numbers.size(); ++rank, row += most)
    out.emplace_back(row, row + shards.numbers[rank].size());
  return out;
}

}  // namespace sdg::learn
