#include "sdg/flow/path.h"

#include "sdg/core/error.h"

namespace sdg::flow {
namespace {

// t [N] (or one number for all) as [N, 1, ...], so that it multiplies x [N, ...] row by row.
Tensor per_sample(const Tensor& t, const Tensor& x, const char* who) {
  SDG_CHECK(t.dim() <= 1 && (t.numel() == 1 || t.numel() == x.size(0)), who, ": t must be [", x.size(0), "], got ",
            to_string(t.sizes()));
  Shape shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = t.numel();
  return t.reshape(shape);
}

void check_same_shape(const Tensor& a, const Tensor& b, const char* who) {
  SDG_CHECK(a.sizes() == b.sizes(), who, ": both tensors must have one shape, got ", to_string(a.sizes()), " and ",
            to_string(b.sizes()));
}

// Weight of the noise at time t.
Tensor noise_scale(const Tensor& t, double sigma_min) {
  return 1 - (1 - sigma_min) * t;
}

}  // namespace

PathSample constant_velocity(const Tensor& x, const Tensor& eps, const Tensor& t, double sigma_min) {
  check_same_shape(x, eps, "constant_velocity");
  const auto time = per_sample(t, x, "constant_velocity");
  return {time * x + noise_scale(time, sigma_min) * eps,  // [N, C, H, W]
          x - (1 - sigma_min) * eps};
}

Tensor data_from_velocity(const Tensor& velocity, const Tensor& x_t, const Tensor& t, double sigma_min) {
  check_same_shape(velocity, x_t, "data_from_velocity");
  return (1 - sigma_min) * x_t + noise_scale(per_sample(t, x_t, "data_from_velocity"), sigma_min) * velocity;
}

Tensor noise_from_velocity(const Tensor& velocity, const Tensor& x_t, const Tensor& t) {
  check_same_shape(velocity, x_t, "noise_from_velocity");
  return x_t - per_sample(t, x_t, "noise_from_velocity") * velocity;
}

Tensor score_from_velocity(const Tensor& velocity, const Tensor& x_t, const Tensor& t, double sigma_min) {
  return -noise_from_velocity(velocity, x_t, t) / noise_scale(per_sample(t, x_t, "score_from_velocity"), sigma_min);
}

Tensor velocity_from_noise(const Tensor& eps, const Tensor& x_t, const Tensor& t) {
  check_same_shape(eps, x_t, "velocity_from_noise");
  return (x_t - eps) / per_sample(t, x_t, "velocity_from_noise");
}

Tensor velocity_from_data(const Tensor& x, const Tensor& x_t, const Tensor& t, double sigma_min) {
  check_same_shape(x, x_t, "velocity_from_data");
  return (x - (1 - sigma_min) * x_t) / noise_scale(per_sample(t, x_t, "velocity_from_data"), sigma_min);
}

Tensor velocity_loss(const Tensor& predicted, const Tensor& target) {
  check_same_shape(predicted, target, "velocity_loss");
  return (predicted - target).square().flatten(1).mean(1);  // [N]
}

}  // namespace sdg::flow
