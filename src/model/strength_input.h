#pragma once
#include <string_view>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/nn/embed.h"
#include "sdg/nn/mlp.h"

/// How a network is told the strength of guidance: b = 1 / w in (0, 1] through a sinusoid and two layers, whose sum
/// joins what it is told of the time (arXiv 2501.15420, section 3.2). The second layer begins at zero.
namespace sdg::model {

inline constexpr int64_t kStrengthWidth = 64;  ///< of the sinusoid
inline constexpr double kStrengthScale = 10;   ///< it sees this many times b

inline nn::TimeMlp make_strength_mlp(int64_t dim, const at::TensorOptions& where) {
  return nn::TimeMlp(kStrengthWidth, dim, dim, where);
}

/// What a network is told of the time, [N, D], with the strength where it has such an input. `strength` is [N];
/// undefined stands for 1. `like` is of the sinusoid of the time. Throws Error for a strength that nothing takes.
inline Tensor with_strength(const Tensor& time, const nn::TimeMlp& mlp, const Tensor& strength,
                            const at::TensorOptions& like, std::string_view where) {
  SDG_CHECK(mlp || !strength.defined(), where, ": this network takes no strength of guidance, and got one");
  if (!mlp) return time;
  const auto count = time.size(0);
  if (strength.defined()) check_shape(strength, {count}, cat(where, ": condition.strength"));
  const auto b =
      strength.defined() ? strength.to(like.device(), at::kFloat) : at::ones({count}, like.dtype(at::kFloat));
  return time + mlp->forward(nn::time_embedding(b * kStrengthScale, kStrengthWidth).to(like.dtype()));
}

inline int64_t strength_macs(int64_t dim) {
  return kStrengthWidth * dim + dim * dim;
}

}  // namespace sdg::model
