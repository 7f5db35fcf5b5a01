#include "sdg/study/cluster_study.h"

#include <algorithm>
#include <cmath>

#include "sdg/checkpoint/run_folder.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/core/error.h"
#include "sdg/network/assign.h"

namespace sdg::study {

ClusterSizes cluster_sizes(const Tensor& ids, int64_t clusters) {
  SDG_CHECK(ids.numel() > 0 && ids.min().item<int64_t>() >= 0 && ids.max().item<int64_t>() < clusters,
            "cluster sizes: expected ids in 0..", clusters - 1, " of at least one image");
  const auto counts = at::bincount(ids.flatten(), {}, clusters);
  ClusterSizes sizes;
  sizes.counts.assign(counts.const_data_ptr<int64_t>(), counts.const_data_ptr<int64_t>() + clusters);
  const auto total = static_cast<double>(ids.numel()), even = total / static_cast<double>(clusters);
  double entropy = 0;
  for (int64_t k = 0; k < clusters; ++k) {
    const auto count = sizes.counts[static_cast<size_t>(k)];
    if (count == 0) {
      sizes.dead.push_back(k);
      continue;
    }
    if (static_cast<double>(count) > 4 * even) sizes.dominant.push_back(k);
    const double share = static_cast<double>(count) / total;
    entropy -= share * std::log(share);
  }
  sizes.entropy = clusters > 1 ? entropy / std::log(static_cast<double>(clusters)) : 1;
  return sizes;
}

double churn(const Tensor& before, const Tensor& after) {
  SDG_CHECK(before.sizes() == after.sizes() && before.numel() > 0,
            "churn: expected two assignments of the same images, got ", before.sizes(), " and ", after.sizes());
  return before.ne(after).to(at::kDouble).mean().item<double>();
}

namespace {

// Squared distances of rows, in pieces that bound memory; `skip_same` leaves out equal positions.
std::pair<Tensor, Tensor> nearest_rows(const Tensor& a, const Tensor& b, bool skip_same) {
  constexpr int64_t kRows = 256;
  std::vector<Tensor> best, index;
  for (int64_t i = 0; i < a.size(0); i += kRows) {
    const auto rows = a.slice(0, i, std::min(a.size(0), i + kRows));
    auto distances = at::cdist(rows, b);
    if (skip_same) distances.narrow(1, i, rows.size(0)).diagonal().fill_(std::numeric_limits<double>::infinity());
    const auto [value, at_row] = distances.min(1);
    best.push_back(value);
    index.push_back(at_row);
  }
  return {at::cat(best), at::cat(index)};
}

}  // namespace

Nearest nearest_training(const Tensor& generated, const Tensor& training) {
  SDG_CHECK(training.size(0) >= 2 && generated.size(0) >= 1,
            "nearest training images: expected at least 2 training and 1 generated image, got ", training.size(0),
            " and ", generated.size(0));
  const auto a = generated.flatten(1).to(at::kFloat), b = training.flatten(1).to(at::kFloat);
  const double to_rms = 1 / std::sqrt(static_cast<double>(a.size(1)));
  const auto [distance, index] = nearest_rows(a, b, false);
  const auto own = std::get<0>(nearest_rows(b, b, true)).mul(to_rms).to(at::kDouble);
  Nearest out;
  out.training_median = own.median().item<double>();
  out.training_low = at::quantile(own, 0.01).item<double>();
  const auto scaled = distance.mul(to_rms).to(at::kDouble).contiguous();
  for (int64_t i = 0; i < scaled.size(0); ++i) {
    out.distance.push_back(scaled[i].item<double>());
    out.index.push_back(index[i].item<int64_t>());
    out.closer_than_low += out.distance.back() < out.training_low;
  }
  return out;
}

}  // namespace sdg::study
