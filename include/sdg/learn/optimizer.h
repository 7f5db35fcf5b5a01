#pragma once
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/learn/parameter_groups.h"
#include "sdg/learn/slices.h"
#include "sdg/recipe/options.h"

namespace sdg::learn {

/// Learning rate of the step that takes `step` (0-based) to step + 1: linear warm-up, then constant or cosine to
/// lr/100. With options.lr_width the rate of a network of `width` is that times lr_width / width.
double learning_rate(const recipe::TrainOptions& options, int64_t step, int64_t width = 0);

/// Decay of the weight average at its n-th update (n from 0): min(options.ema, (1 + n) / (10 + n)).
double ema_decay(const recipe::TrainOptions& options, int64_t n);

/// AdamW (Loshchilov & Hutter 2019) on one flat tensor; the arithmetic is LibTorch's fused kernel, one call a group.
class AdamW {
 public:
  /// `groups` must cover the values; none is one of all, with options.weight_decay.
  AdamW(const recipe::TrainOptions& options, const Tensor& values, std::vector<ParameterGroup> groups = {});
  /// Of `values` [P], which `groups` cover, this rank's slice only, which step() takes; all ranks step together. Both
  /// must outlive this.
  AdamW(const recipe::TrainOptions& options, const Tensor& values, const std::vector<ParameterGroup>& groups,
        const Slices& slices, Reducer& reducer);

  /// Scales the gradient down to options.clip if it is longer, then updates `values` in place. Returns the norm before
  /// clipping. Throws Error, leaving everything as it was, if the gradient is not finite or the update would not be; of
  /// slices on all ranks where one's is not.
  double step(const Tensor& values, const Tensor& gradient, double lr);

  /// The same on one rank without waiting for the device: scales and updates there, unless the gradient is not finite
  /// or, without clipping, longer than 1e15, or `bad`, a bool scalar, is true already; then it is set and nothing else
  /// changes. Returns the norm before clipping, a scalar.
  Tensor step_unless(Tensor& bad, const Tensor& values, const Tensor& gradient, double lr);

  Tensor exp_avg, exp_avg_sq;  ///< [P] or [slice], the state
  Tensor steps_done;           ///< float scalar

 private:
  bool may_leave_range(double norm, double lr) const;
  void update(const Tensor& values, const Tensor& gradient, double lr, const Tensor& bad);

  recipe::TrainOptions options_;
  std::vector<ParameterGroup> groups_;
  const Slices* slices_ = nullptr;  // null: all values
  Reducer* reducer_ = nullptr;
};

}  // namespace sdg::learn
