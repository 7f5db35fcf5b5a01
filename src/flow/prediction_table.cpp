#include "sdg/flow/prediction_table.h"

#include <cmath>
#include <tuple>
#include <utility>

#include "sdg/core/error.h"

namespace sdg::flow {
namespace {

// Where a straight path's prediction of noise or data says too little of the other one (SiT keeps the same distance).
constexpr double kEndDistance = 1e-3;

Tensor per_image(const Tensor& values, const Tensor& like) {
  return values.view({-1, 1, 1, 1}).to(like.scalar_type());
}

// Our t at which log(t / (1 - (1 - s) t)) = l.
double time_of(double log_ratio, double sigma_min) {
  const double ratio = std::exp(log_ratio);
  return std::min(1.0, ratio / (1 + (1 - sigma_min) * ratio));
}

}  // namespace

PredictionTable::PredictionTable(const flow::Prediction& prediction, double sigma_min, const at::Device& device)
    : prediction_(prediction), sigma_min_(sigma_min) {
  if (is_plain_velocity()) return;
  const auto target = prediction.target;
  if (prediction.path == flow::Path::kStraight) {
    if (target == flow::Target::kNoise || target == flow::Target::kScore) earliest_ = kEndDistance;
    if (target == flow::Target::kData || target == flow::Target::kScore) latest_ = 1 - kEndDistance;
    return;
  }
  if (device.is_meta()) return;
  levels_.emplace(prediction.path, device);
  abar_ = alphas_cumprod(prediction.path).to(device);
  earliest_ = time_of(levels_->lowest(), sigma_min);
  // A prediction of the noise stays exact up to the data, though the network cannot tell the last levels apart.
  if (target != flow::Target::kNoise) latest_ = time_of(levels_->highest(), sigma_min);
}

void PredictionTable::to(const at::Device& device) {
  if (!levels_ || device.is_meta()) return;
  levels_.emplace(prediction_.path, device);
  abar_ = abar_.to(device);
}

std::vector<double> PredictionTable::own_grid(int64_t steps) const {
  SDG_CHECK(steps >= 1, "time grid: steps must be at least 1, got ", steps);
  std::vector<double> grid;
  for (int64_t i = 0; i <= steps; ++i) {
    const double share = static_cast<double>(i) / static_cast<double>(steps);
    grid.push_back(levels_ ? time_of(levels_->log_ratio((1 - share) * static_cast<double>(kSteps - 1)), sigma_min_)
                           : share);
  }
  grid.front() = 0;
  grid.back() = 1;
  return grid;
}

std::vector<double> PredictionTable::grid_of_steps(const std::vector<int64_t>& n) const {
  if (!levels_) return own_grid(static_cast<int64_t>(n.size()));
  std::vector<double> grid;
  for (auto each = n.rbegin(); each != n.rend(); ++each)
    grid.push_back(time_of(levels_->log_ratio(static_cast<double>(*each)), sigma_min_));
  grid.front() = 0;
  grid.push_back(1);
  return grid;
}

NetworkPoint PredictionTable::at(const Tensor& x_t, const Tensor& t) const {
  SDG_CHECK(t.dim() == 1 && t.size(0) == x_t.size(0), "prediction table: t must be [", x_t.size(0), "], got ",
            to_string(t.sizes()));
  if (is_plain_velocity()) return {x_t, t, {}, {}};
  const auto asked = t.to(at::kDouble);
  const auto place = asked.clamp(earliest_, latest_);
  const auto noise_share = [&](const Tensor& time) { return 1 - (1 - sigma_min_) * time; };
  const auto norm = [&](const Tensor& time) { return at::sqrt(time.square() + noise_share(time).square()); };
  NetworkPoint out;
  if (!levels_) {
    out.input = x_t * per_image(norm(place) / norm(asked), x_t);
    out.time = place.to(t.scalar_type());
    out.signal = per_image(place, x_t);
    out.noise = per_image(noise_share(place), x_t);
    return out;
  }
  out.input = x_t / per_image(norm(asked), x_t);
  out.time = (levels_->step_of(at::log(place / noise_share(place))) + first_step(prediction_.path)).to(t.scalar_type());
  out.signal = per_image(place / norm(place), x_t);
  out.noise = per_image(noise_share(place) / norm(place), x_t);
  return out;
}

Tensor PredictionTable::velocity(const Tensor& answer, const NetworkPoint& point) const {
  if (is_plain_velocity()) return answer;
  const auto &z = point.input, &a = point.signal, &b = point.noise;
  SDG_CHECK(answer.sizes() == z.sizes(), "prediction table: the answer must be ", to_string(z.sizes()), ", got ",
            to_string(answer.sizes()));
  Tensor eps, x;
  switch (prediction_.target) {
    case flow::Target::kNoise:
      eps = answer;
      x = (z - b * eps) / a;
      break;
    case flow::Target::kData:
      x = answer;
      eps = (z - a * x) / b;
      break;
    case flow::Target::kScore:
      eps = -b * answer;
      x = (z - b * eps) / a;
      break;
    case flow::Target::kVelocity:
      eps = b * z + a * answer;
      x = a * z - b * answer;
      break;
  }
  return x - (1 - sigma_min_) * eps;
}

TrainingPoint PredictionTable::training_point(const Tensor& x, const Tensor& eps, const Tensor& u, LossSpace loss,
                                              double floor) const {
  TrainingPoint out;
  const auto shares = [&] {
    const auto a = per_image(u, x);
    return std::pair{a, 1 - (1 - sigma_min_) * a};
  };
  if (is_plain_velocity()) {
    auto sample = constant_velocity(x, eps, u, sigma_min_);
    const auto [a, b] = shares();
    return {sample.x_t, u, u, sample.velocity, loss_weight(Target::kVelocity, loss, a, b, floor)};
  }
  Tensor a, b;  // [N, 1, 1, 1]
  if (!levels_) {
    out.input = constant_velocity(x, eps, u, sigma_min_).x_t;
    out.time = out.t = u;
    std::tie(a, b) = shares();
  } else {
    const auto n = (u.to(at::kDouble) * static_cast<double>(kSteps)).floor().clamp(0, kSteps - 1);
    const auto abar = abar_.index_select(0, n.to(at::kLong));
    const auto ratio = at::sqrt(abar / (1 - abar));
    a = per_image(abar.sqrt(), x);
    b = per_image((1 - abar).sqrt(), x);
    out.input = a * x + b * eps;
    out.time = (n + first_step(prediction_.path)).to(u.scalar_type());
    out.t = (ratio / (1 + (1 - sigma_min_) * ratio)).to(u.scalar_type());
  }
  switch (prediction_.target) {
    case flow::Target::kNoise:
      out.target = eps;
      break;
    case flow::Target::kData:
      out.target = x;
      break;
    case flow::Target::kScore:
      out.target = -eps / b;
      break;
    case flow::Target::kVelocity:
      out.target = a * eps - b * x;
      break;
  }
  out.weight = loss_weight(prediction_.target, loss, a, b, floor);
  return out;
}

}  // namespace sdg::flow
