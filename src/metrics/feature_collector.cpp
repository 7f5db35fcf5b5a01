#include "sdg/metrics/feature_collector.h"

#include <algorithm>
#include <numeric>

#include "core/rng_key_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::metrics {
namespace {

uint64_t draw(uint64_t seed, int64_t place) {
  const auto at = static_cast<uint64_t>(place);
  const auto bits = rng::philox({0, 0, static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32)},
                                rng::key_of({seed, rng::Purpose::kSubset, 2}));
  return (uint64_t{bits[0]} << 32) | bits[1];
}

}  // namespace

FeatureCollector::FeatureCollector(int64_t most, uint64_t seed, Reducer& reducer)
    : most_(most), seed_(seed), reducer_(reducer) {
  SDG_CHECK(most >= 1, "features: expected to keep at least 1, got ", most);
}

// Twice as much each time, so that few images cost little.
void FeatureCollector::reserve(int64_t rows, int64_t width) {
  const int64_t held = rows_.defined() ? rows_.size(0) : 0;
  if (rows <= held) return;
  Tensor larger = at::empty({std::min(most_, std::max(rows, 2 * held)), width}, at::kFloat);
  if (held > 0) larger.narrow(0, 0, held).copy_(rows_);
  rows_ = larger;
}

void FeatureCollector::add(const Tensor& features) {
  check_shape(features, {-1, rows_.defined() ? rows_.size(1) : -1}, "features to keep");
  const Tensor own = features.to(at::kCPU, at::kFloat);
  SDG_CHECK(at::isfinite(own).all().item<bool>(), "features must be finite, got NaN or infinity in sample ", seen_,
            " or later");
  reserve(std::min(most_, seen_ + own.size(0)), own.size(1));
  for (int64_t i = 0; i < own.size(0); ++i, ++seen_) {
    const int64_t place = seen_ * reducer_.ranks() + reducer_.rank();
    const auto number = draw(seed_, place);
    auto row = static_cast<int64_t>(drawn_.size());
    if (row == most_) {
      if (number >= drawn_.front().first) continue;
      std::pop_heap(drawn_.begin(), drawn_.end());
      row = drawn_.back().second;
      drawn_.pop_back();
    } else {
      places_.push_back(0);
    }
    rows_[row].copy_(own[i]);
    places_[static_cast<size_t>(row)] = place;
    drawn_.emplace_back(number, row);
    std::push_heap(drawn_.begin(), drawn_.end());
  }
}

// The rows of each rank hold all of its own that one rank would have kept: of them together the least numbers again.
Tensor FeatureCollector::of_all_ranks() const {
  const auto count = static_cast<int64_t>(places_.size());
  const auto width = static_cast<int64_t>(reducer_.max(rows_.defined() ? static_cast<double>(rows_.size(1)) : 0));
  const auto rows = reducer_.all_gather(rows_.defined() ? rows_.narrow(0, 0, count) : at::empty({0, width}));
  const auto gathered = reducer_.all_gather(at::tensor(places_, at::kLong));
  const std::vector<int64_t> places(gathered.const_data_ptr<int64_t>(),
                                    gathered.const_data_ptr<int64_t>() + gathered.numel());
  SDG_CHECK(!places.empty(), "features: none were given");
  std::vector<std::pair<uint64_t, int64_t>> drawn;  // (random number, row)
  for (size_t i = 0; i < places.size(); ++i) drawn.emplace_back(draw(seed_, places[i]), static_cast<int64_t>(i));
  std::sort(drawn.begin(), drawn.end());
  if (static_cast<int64_t>(drawn.size()) > most_) drawn.resize(static_cast<size_t>(most_));
  std::vector<int64_t> order;
  for (const auto& [number, row] : drawn) order.push_back(row);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return places[static_cast<size_t>(a)] < places[static_cast<size_t>(b)]; });
  return rows.index_select(0, at::tensor(order));
}

Tensor FeatureCollector::features() const {
  if (reducer_.ranks() > 1) return of_all_ranks();
  SDG_CHECK(!places_.empty(), "features: none were given");
  std::vector<int64_t> order(places_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return places_[static_cast<size_t>(a)] < places_[static_cast<size_t>(b)]; });
  return rows_.index_select(0, at::tensor(order));
}

}  // namespace sdg::metrics
