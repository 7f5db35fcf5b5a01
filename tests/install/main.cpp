// Uses the installed library and its headers: the midpoint of a path, and the list of presets.
#include <sdg/core/version.h>
#include <sdg/flow/path.h>
#include <sdg/model/catalog.h>

#include <ATen/ATen.h>

#include <cstdio>

int main() {
  const auto x = at::full({2, 1, 4, 4}, 3.0), eps = at::zeros({2, 1, 4, 4}), t = at::full({2}, 0.5);
  const auto sample = sdg::flow::constant_velocity(x, eps, t, 0);
  const bool right = at::allclose(sample.x_t, at::full({2, 1, 4, 4}, 1.5)) && !sdg::model::presets().empty();
  std::printf("%s\n", right ? "linked" : "wrong");
  return right ? 0 : 1;
}
