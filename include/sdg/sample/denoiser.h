#pragma once
#include <functional>

#include "sdg/core/tensor.h"
#include "sdg/flow/path.h"

namespace sdg::sample {

/// velocity(x_t, t): x_t of any shape, t the time shared by the whole batch.
using VelocityFn = std::function<Tensor(const Tensor& x_t, double t)>;

/// What a network says at one point: the velocity and, where it learned one, the variance of a DDPM step, as the place
/// between its two bounds (-1 the small one, 1 the large one), like x_t; undefined elsewhere.
struct Answer {
  Answer(Tensor velocity_in, Tensor variance_in = {})  // NOLINT: a velocity is an answer
      : velocity(std::move(velocity_in)), variance(std::move(variance_in)) {}
  Tensor velocity, variance;
};
using AnswerFn = std::function<Answer(const Tensor& x_t, double t)>;

/// What a network says at one point (x_t, t) of the path, in each of the forms that samplers are written in. All of
/// them are that one velocity in other words (flow/path.h), so that x_t = t data + (1 - (1 - s) t) noise holds exactly;
/// each is worked out when it is first asked for, once. Shapes are x_t's.
class Views {
 public:
  Views(Answer answer, Tensor x_t, double t, double sigma_min);

  const Tensor& velocity() const { return answer_.velocity; }  ///< dx_t/dt
  const Tensor& variance() const { return answer_.variance; }  ///< of Answer
  const Tensor& data() const;                                  ///< E[x | x_t]
  const Tensor& noise() const;                                 ///< E[eps | x_t]
  const Tensor& score() const;                                 ///< gradient of the log density of x_t

 private:
  Tensor time() const;  // [1], as x_t

  Answer answer_;
  Tensor x_t_;
  double t_, sigma_min_;
  mutable Tensor data_, noise_, score_;
};

/// A network as samplers see it: a velocity on our path, whatever it predicts and whatever guides it.
class Denoiser {
 public:
  explicit Denoiser(AnswerFn answer, double sigma_min = flow::kSigmaMin)
      : answer_(std::move(answer)), sigma_min_(sigma_min) {}

  /// For samplers that need nothing else.
  Tensor velocity(const Tensor& x_t, double t) const { return answer_(x_t, t).velocity; }
  Answer answer(const Tensor& x_t, double t) const { return answer_(x_t, t); }
  /// One evaluation; the other forms are worked out from it.
  Views at(const Tensor& x_t, double t) const { return {answer_(x_t, t), x_t, t, sigma_min_}; }

  double sigma_min() const { return sigma_min_; }
  /// Share of the noise in x_t: 1 - (1 - s) t.
  double noise_share(double t) const { return 1 - (1 - sigma_min_) * t; }

 private:
  AnswerFn answer_;
  double sigma_min_;
};

}  // namespace sdg::sample
