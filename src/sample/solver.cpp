#include "sdg/sample/solver.h"

#include "sample/tableau.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/sample/adaptive.h"

namespace sdg::sample {
namespace {

constexpr const char* kAdaptive = "dopri5";

const Tableau& fixed_method(const std::string& name) {
  const auto* table = find_tableau(fixed_tableaus(), name);
  if (!table) {
    throw UsageError(cat("solver: expected one of ", join(solver_names()), ", got '", name, "'"));
  }
  return *table;
}

}  // namespace

const std::vector<std::string>& solver_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& table : fixed_tableaus()) all.push_back(table.name);
    all.emplace_back(kAdaptive);
    return all;
  }();
  return names;
}

int64_t evaluations_per_step(const std::string& solver) {
  return solver == kAdaptive ? 0 : static_cast<int64_t>(fixed_method(solver).stages());
}

Tensor integrate(const std::string& solver, const VelocityFn& velocity, Tensor x, const std::vector<double>& grid,
                 const StepFn& after_step) {
  if (solver == kAdaptive) {
    const auto result = integrate_adaptive(velocity, x, grid);
    for (size_t i = 1; after_step && i < grid.size(); ++i) after_step(static_cast<int64_t>(i) - 1, result.states[i]);
    return result.states.back();
  }
  const auto& table = fixed_method(solver);
  check_grid(grid, "integrate");
  for (size_t i = 0; i + 1 < grid.size(); ++i) {
    const double dt = grid[i + 1] - grid[i];
    x = combine(x, dt, table.weights, stage_velocities(table, velocity, x, grid[i], dt));
    if (after_step) after_step(static_cast<int64_t>(i), x);
  }
  return x;
}

}  // namespace sdg::sample
