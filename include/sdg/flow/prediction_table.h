#pragma once
#include <optional>
#include <vector>

#include "sdg/flow/betas.h"
#include "sdg/flow/interpolant.h"
#include "sdg/flow/loss_space.h"
#include "sdg/flow/path.h"
#include "sdg/flow/prediction.h"

namespace sdg::flow {

/// A point of our path as a network knows it: input = signal x + noise eps.
struct NetworkPoint {
  Tensor input;          ///< [N, C, H, W] what the network is shown
  Tensor time;           ///< [N] what it is told: t, or the step number n (between whole numbers, too)
  Tensor signal, noise;  ///< [N, 1, 1, 1]; undefined where the network predicts our velocity as it is
  Tensor rate{};         ///< [N, 1, 1, 1], of velocities on gvp and vp (interpolant.h); undefined elsewhere
};

/// What a network of that kind learns from one draw.
struct TrainingPoint {
  Tensor input, time;  ///< as in NetworkPoint
  Tensor t;            ///< [N] our time of that point
  Tensor target;       ///< [N, C, H, W] what it should predict
  Tensor weight;       ///< [N] of its squared error; undefined stands for 1
};

/// The one table by which everything else deals in velocities of the straight path, whatever the network predicts and
/// on whichever path it was trained:
///
///   predicts      eps                        x
///   noise         o                          (z - b o) / a
///   data          (z - a o) / b              o
///   score         -b o                       (z + b^2 o) / a
///   velocity      b z + a o                  a z - b o           (path of betas: o = a eps - b x;
///                                                                 gvp, vp: o = -velocity / rate, which is the same)
///
/// with z = a x + b eps, and then velocity = x - (1 - s) eps. On the straight path z = x_t, a = t and b = 1 - (1 - s)
/// t. The other paths keep a^2 + b^2 = 1 and meet ours where the signal-to-noise ratios agree: z = x_t / |(a_t, b_t)|,
/// and the network is told the step n, or its own path's time, of that ratio. Where the table would divide by nothing,
/// at the ends of the path or beyond the first and the last step, the network is shown the nearest point at which it
/// knows what to say, along the same z / |(a, b)|.
class PredictionTable {
 public:
  explicit PredictionTable(const flow::Prediction& prediction = {}, double sigma_min = kSigmaMin,
                           const at::Device& device = at::kCPU);

  /// x_t [N, C, H, W], t [N] in [0, 1].
  NetworkPoint at(const Tensor& x_t, const Tensor& t) const;
  /// Velocity of our path, from the network's answer [N, C, H, W] at that point.
  Tensor velocity(const Tensor& answer, const NetworkPoint& point) const;

  /// A draw of training: data x and noise eps [N, C, H, W] at the place u [N] in [0, 1) of the network's own path,
  /// which is its time, or n = floor(1000 u). Weights are those of the loss's space (loss_weight).
  TrainingPoint training_point(const Tensor& x, const Tensor& eps, const Tensor& u,
                               LossSpace loss = LossSpace::kPredicted, double floor = kLossFloor,
                               double snr_cap = kSnrCap) const;

  /// steps + 1 times from 0 to 1 at equal steps of the network's own path: of betas the spacing of DDIM (Song et al.
  /// 2010.02502; an Euler step between two of our times is a DDIM step there), of the others equal times.
  std::vector<double> own_grid(int64_t steps) const;

  /// The times of these step numbers n, rising, of a path of betas, from the noisiest on, and then 1. The first is 0:
  /// there the network is told n as well. Of a path without steps as many equal steps.
  std::vector<double> grid_of_steps(const std::vector<int64_t>& n) const;
  double sigma_min() const { return sigma_min_; }

  void to(const at::Device& device);
  /// The network's answer is the velocity, and its place is (x_t, t).
  bool is_plain_velocity() const { return prediction_ == flow::Prediction{}; }

 private:
  double our_time(double own) const;

  flow::Prediction prediction_;
  double sigma_min_;
  std::optional<NoiseLevels> levels_;      // of a path of betas
  Tensor abar_;                            // its alphas_cumprod, on the device
  std::optional<Interpolant> continuous_;  // gvp or vp
  double earliest_ = 0, latest_ = 1;       // times between which the network is asked
};

}  // namespace sdg::flow
