#pragma once
#include <functional>

#include "sample/methods.h"

namespace sdg::sample {

/// The flow's SDE along a walk (diffusion.h).
struct Sde {
  const Walk& walk;

  /// w of the step i, at its begin; the diffusion that has no value at t = 0 takes that of the step's end, which the
  /// step then just bears.
  double w(size_t i) const { return w_at(walk.grid[i], walk.grid[i + 1]); }
  /// velocity + w score. `w` 0 asks for no score.
  static Tensor drift(const Views& views, double w) { return at::add(views.velocity(), views.score(), w); }
  double w_at(double t, double instead) const;
  /// Is step i the one without noise?
  bool is_last(size_t i) const { return i + 1 == walk.steps() && walk.options.last_step != LastStep::kNone; }
  /// That step.
  Tensor last_step(size_t i, const Tensor& x) const;
};

/// The walk from x, each step i by `step`, which adds noise, but the last one apart (SiT, transport/integrators.py).
/// Throws Error without noise, and for a grid that does not rise.
Tensor along_sde(const Walk& walk, Tensor x,
                 const std::function<Tensor(const Sde& sde, size_t i, const Tensor& x)>& step);

}  // namespace sdg::sample
