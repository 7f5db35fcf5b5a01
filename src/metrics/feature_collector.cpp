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

FeatureCollector::FeatureCollector(int64_t most, uint64_t seed) : most_(most), seed_(seed) {
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
    const auto number = draw(seed_, seen_);
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
    places_[static_cast<size_t>(row)] = seen_;
    drawn_.emplace_back(number, row);
    std::push_heap(drawn_.begin(), drawn_.end());
  }
}

Tensor FeatureCollector::features() const {
  SDG_CHECK(!places_.empty(), "features: none were given");
  std::vector<int64_t> order(places_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return places_[static_cast<size_t>(a)] < places_[static_cast<size_t>(b)]; });
  return rows_.index_select(0, at::tensor(order));
}

}  // namespace sdg::metrics
