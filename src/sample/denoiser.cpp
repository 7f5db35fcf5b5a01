#include "sdg/sample/denoiser.h"

namespace sdg::sample {

Views::Views(Answer answer, Tensor x_t, double t, double sigma_min)
    : answer_(std::move(answer)), x_t_(std::move(x_t)), t_(t), sigma_min_(sigma_min) {}

Tensor Views::time() const {
  return at::full({1}, t_, x_t_.options());
}

const Tensor& Views::data() const {
  if (!data_.defined()) data_ = flow::data_from_velocity(answer_.velocity, x_t_, time(), sigma_min_);
  return data_;
}

const Tensor& Views::noise() const {
  if (!noise_.defined()) noise_ = flow::noise_from_velocity(answer_.velocity, x_t_, time());
  return noise_;
}

const Tensor& Views::score() const {
  if (!score_.defined()) score_ = flow::score_from_velocity(answer_.velocity, x_t_, time(), sigma_min_);
  return score_;
}

}  // namespace sdg::sample
