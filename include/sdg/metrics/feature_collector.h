#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "sdg/metrics/features.h"

namespace sdg::metrics {

/// Keeps features themselves, for metrics that compare images one by one, in bounded memory: of more than `most` a
/// uniform sample, drawn by the image's place in the order (those whose keyed random numbers are the least), so that
/// batching changes nothing.
class FeatureCollector : public FeatureSink {
 public:
  /// Throws Error unless `most` is at least 1.
  explicit FeatureCollector(int64_t most, uint64_t seed = 0);
  /// Throws Error for features of another width than before, or that are not finite.
  void add(const Tensor& features) override;

  int64_t seen() const { return seen_; }
  /// float32 [min(seen, most), F] on the CPU, in the order in which they came. Throws Error where none came.
  Tensor features() const;

 private:
  void reserve(int64_t rows, int64_t width);

  int64_t most_, seen_ = 0;
  uint64_t seed_;
  Tensor rows_;                                      // [capacity, F]
  std::vector<int64_t> places_;                      // of each row, in the order of all
  std::vector<std::pair<uint64_t, int64_t>> drawn_;  // (random number, row): a heap, the largest in front
};

}  // namespace sdg::metrics
