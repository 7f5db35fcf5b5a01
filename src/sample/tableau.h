#pragma once
// Explicit Runge-Kutta methods as tables (Butcher): one row each, one stepping function for all.
#include <string>
#include <vector>

#include "sdg/sample/denoiser.h"

namespace sdg::sample {

struct Tableau {
  std::string name;
  int order = 0;
  std::vector<double> nodes;              ///< times of stages 2.., as a share of the step
  std::vector<std::vector<double>> rows;  ///< stage i + 1 stands at x + dt * sum_j rows[i][j] k_j
  std::vector<double> weights;            ///< of the stages in the result
  std::vector<double> error{};            ///< weights minus those of the embedded method; empty for fixed steps
  std::vector<double> middle{};           ///< weights of the state at half the step, for dense output
  size_t stages() const { return weights.size(); }
};

/// The methods with fixed steps: euler, midpoint, heun, heun3, rk4.
const std::vector<Tableau>& fixed_tableaus();
/// The methods with an error estimate: dopri5, bosh3, adaptive_heun.
const std::vector<Tableau>& adaptive_tableaus();
/// The table of that name, nullptr if there is none.
const Tableau* find_tableau(const std::vector<Tableau>& tables, const std::string& name);

/// x + dt * sum_j weights[j] k[j]; zero weights cost nothing.
Tensor combine(const Tensor& x, double dt, const std::vector<double>& weights, const std::vector<Tensor>& k);
/// Velocities at all stages of one step. `first` is the velocity at (x, t) where it is known already, else undefined.
std::vector<Tensor> stage_velocities(const Tableau& table, const VelocityFn& velocity, const Tensor& x, double t,
                                     double dt, const Tensor& first = {});

}  // namespace sdg::sample
