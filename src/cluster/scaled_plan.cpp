#include "cluster/scaled_plan.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sdg/core/parallel.h"

namespace sdg::cluster {
namespace {

// Blocks of at least this many elements, so that a small batch is not cut, and at most this many blocks, each of which
// holds K sums.
constexpr int64_t kElements = 1 << 17, kBlocks = 64;

int64_t rows_of_a_block(int64_t samples, int64_t clusters) {
  return std::max({int64_t{1}, kElements / clusters, (samples + kBlocks - 1) / kBlocks});
}

// Sixteen partial sums, in an order that does not depend on how the compiler vectorises.
double dot(const float* p, const double* v, int64_t n) {
  constexpr int64_t kLanes = 16;
  std::array<double, kLanes> part{};
  int64_t k = 0;
  for (; k + kLanes <= n; k += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) part[lane] += static_cast<double>(p[k + lane]) * v[k + lane];
  }
  double sum = 0;
  for (const double value : part) sum += value;
  for (; k < n; ++k) sum += static_cast<double>(p[k]) * v[k];
  return sum;
}

void add_scaled(double u, const float* p, double* sums, int64_t n) {
  for (int64_t k = 0; k < n; ++k) sums[k] += u * static_cast<double>(p[k]);
}

}  // namespace

// Calls visit(row of P, index of the row, sums [K] of its block) for every row, then adds the blocks' sums, and
// those of all ranks, into sums_.
template <class Visit>
void ScaledPlan::for_each_row(const Visit& visit) {
  const int64_t blocks = (own_ + rows_ - 1) / rows_;
  std::vector<std::vector<double>> parts(static_cast<size_t>(blocks));
  auto* plan = plan_.data_ptr<float>();
  const auto block = [&](int64_t b) {
    auto& part = parts[static_cast<size_t>(b)];
    part.assign(static_cast<size_t>(clusters_), 0);
    const int64_t end = std::min(own_, (b + 1) * rows_);
    for (int64_t i = b * rows_; i < end; ++i) visit(plan + i * clusters_, i, part.data());
  };
  if (blocks == 1) {
    block(0);
  } else {
    worker_pool().run(blocks, block);
  }
  std::fill(sums_.begin(), sums_.end(), 0.0);
  for (const auto& part : parts) {
    for (int64_t k = 0; k < clusters_; ++k) sums_[k] += part[k];
  }
  if (reducer_.ranks() > 1) reducer_.all_reduce(at::from_blob(sums_.data(), {clusters_}, at::kDouble));
}

ScaledPlan::ScaledPlan(const Tensor& scores, double epsilon, double largest, int64_t samples, Reducer& reducer)
    : own_(scores.size(0)),
      samples_(samples),
      clusters_(scores.size(1)),
      rows_(rows_of_a_block(own_, clusters_)),
      plan_(at::empty(scores.sizes(), at::kFloat)),
      v_(static_cast<size_t>(clusters_), 1.0),
      sums_(static_cast<size_t>(clusters_)),
      reducer_(reducer) {
  // A few rows at a time: the exponentials, in float64, stay in the cache until they are added up.
  const int64_t few = std::clamp<int64_t>((1 << 15) / clusters_, 1, rows_);
  for_each_row([&](const float* row, int64_t i, double* sums) {
    if (i % rows_ % few == 0) {
      const int64_t end = std::min({own_, i + few, (i / rows_ + 1) * rows_});
      plan_.slice(0, i, end).copy_(scores.slice(0, i, end).to(at::kDouble).sub_(largest).div_(epsilon).exp_());
    }
    add_scaled(1, row, sums, clusters_);
  });
}

void ScaledPlan::scale_clusters() {
  for (int64_t k = 0; k < clusters_; ++k) v_[k] = 1 / (static_cast<double>(clusters_) * sums_[k]);
}

void ScaledPlan::scale_samples() {
  for_each_row([&](const float* row, int64_t, double* sums) {
    add_scaled(1 / (static_cast<double>(samples_) * dot(row, v_.data(), clusters_)), row, sums, clusters_);
  });
}

double ScaledPlan::marginal_error() const {
  double error = 0;
  for (int64_t k = 0; k < clusters_; ++k)
    error = std::max(error, std::abs(v_[k] * sums_[k] * static_cast<double>(clusters_) - 1));
  return error;
}

ScaledPlan::Finished ScaledPlan::finish() {
  Finished out;
  out.argmaxes.resize(static_cast<size_t>(own_));
  auto* plan = plan_.data_ptr<float>();
  for_each_row([&](const float* row, int64_t i, double* sums) {
    const double scale = 1 / dot(row, v_.data(), clusters_);
    float* q = plan + i * clusters_;
    for (int64_t k = 0; k < clusters_; ++k) {
      const double value = scale * v_[k] * static_cast<double>(row[k]);
      sums[k] += value;
      q[k] = static_cast<float>(value);
    }
    out.argmaxes[i] = std::max_element(q, q + clusters_) - q;
  });
  out.sums = sums_;
  out.assignments = plan_;
  return out;
}

}  // namespace sdg::cluster
