#include "sdg/flow/prediction_table.h"

#include <cmath>
#include <tuple>
#include <utility>

#include "sdg/core/error.h"

namespace sdg::flow {
namespace {

// Where a continuous path's prediction of noise or data says too little of the other one (SiT keeps the same distance).
constexpr double kEndDistance = 1e-3;
// SiT trains VP up to here, where its velocity is still bounded.
constexpr double kLastTrained = 1 - 1e-5;

std::optional<Interpolant> continuous(flow::Path path) {
  if (path == flow::Path::kGvp) return Interpolant::kGvp;
  if (path == flow::Path::kVp) return Interpolant::kVp;
  return {};
}

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
  continuous_ = continuous(prediction.path);
  if (!has_steps(prediction.path)) {
    const bool needs_data = target == flow::Target::kNoise || target == flow::Target::kScore;
    const bool needs_noise = target == flow::Target::kData || target == flow::Target::kScore;
    const bool vp =
        continuous_ == Interpolant::kVp;  // begins with some data; its velocity has no bound at the other end
    const double first = needs_data && !vp ? kEndDistance : 0;
    const double last = needs_noise || (vp && target == flow::Target::kVelocity) ? 1 - kEndDistance : 1;
    earliest_ = continuous_ ? our_time(first) : first;
    latest_ = continuous_ ? our_time(last) : last;
    return;
  }
  if (device.is_meta()) return;
  levels_.emplace(prediction.path, device);
  abar_ = alphas_cumprod(prediction.path).to(device);
  earliest_ = time_of(levels_->lowest(), sigma_min);
  // A prediction of the noise stays exact up to the data, though the network cannot tell the last levels apart.
  if (target != flow::Target::kNoise) latest_ = time_of(levels_->highest(), sigma_min);
}

// Our t where the signal-to-noise ratio is that of the own time of gvp or vp.
double PredictionTable::our_time(double own) const {
  const auto at = coefficients(*continuous_, own);
  return at.b > 0 ? time_of(std::log(at.a / at.b), sigma_min_) : 1;
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
                   : continuous_ ? our_time(share)
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
  if (!levels_ && !continuous_) {
    out.input = x_t * per_image(norm(place) / norm(asked), x_t);
    out.time = place.to(t.scalar_type());
    out.signal = per_image(place, x_t);
    out.noise = per_image(noise_share(place), x_t);
    return out;
  }
  out.input = x_t / per_image(norm(asked), x_t);
  const auto log_ratio = at::log(place / noise_share(place));
  if (continuous_) {
    const auto own = times_of(*continuous_, log_ratio);
    out.time = own.to(t.scalar_type());
    if (prediction_.target == flow::Target::kVelocity) out.rate = per_image(shares_at(*continuous_, own).rate, x_t);
  } else {
    out.time = (levels_->step_of(log_ratio) + first_step(prediction_.path)).to(t.scalar_type());
  }
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
    case flow::Target::kVelocity: {
      const auto turned = point.rate.defined() ? -answer / point.rate : answer;
      eps = b * z + a * turned;
      x = a * z - b * turned;
      break;
    }
  }
  return x - (1 - sigma_min_) * eps;
}

TrainingPoint PredictionTable::training_point(const Tensor& x, const Tensor& eps, const Tensor& u, LossSpace loss,
                                              double floor, double snr_cap) const {
  TrainingPoint out;
  const auto shares = [&] {
    const auto a = per_image(u, x);
    return std::pair{a, 1 - (1 - sigma_min_) * a};
  };
  if (is_plain_velocity()) {
    auto sample = constant_velocity(x, eps, u, sigma_min_);
    const auto [a, b] = shares();
    return {sample.x_t, u, u, sample.velocity, loss_weight(Target::kVelocity, loss, a, b, floor, snr_cap)};
  }
  Tensor a, b, rate;  // [N, 1, 1, 1]
  if (continuous_) {
    const auto own = u.to(at::kDouble).clamp_max(continuous_ == Interpolant::kVp ? kLastTrained : 1);
    const auto there = shares_at(*continuous_, own);
    a = per_image(there.a, x);
    b = per_image(there.b, x);
    rate = per_image(there.rate, x);
    out.input = a * x + b * eps;
    out.time = own.to(u.scalar_type());
    out.t = (there.a / (there.b + (1 - sigma_min_) * there.a)).to(u.scalar_type());
  } else if (!levels_) {
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
      out.target = rate.defined() ? rate * (b * x - a * eps) : a * eps - b * x;
      break;
  }
  out.weight = loss_weight(prediction_.target, loss, a, b, floor, snr_cap);
  if (rate.defined() && loss == LossSpace::kMinSnr) {  // both made for velocities of rate 1
    if (prediction_.target == flow::Target::kVelocity) out.weight = out.weight / rate.square().flatten();
  } else if (rate.defined() && out.weight.defined()) {
    const auto squared = (rate * b / b.clamp_min(floor)).square().flatten();
    if (loss == LossSpace::kVelocity) out.weight = out.weight * squared;
    if (prediction_.target == flow::Target::kVelocity) out.weight = out.weight / squared;
  }
  return out;
}

}  // namespace sdg::flow
