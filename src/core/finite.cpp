#include "sdg/core/finite.h"

#include <cmath>

#include "sdg/core/error.h"

namespace sdg {

bool is_finite(const Tensor& x) {
  if (x.numel() == 0 || !(x.is_floating_point() || x.is_complex())) return true;
  const at::NoGradGuard no_grad;
  if (x.is_complex()) return is_finite(at::view_as_real(x.resolve_conj()));
  const bool wide = x.scalar_type() == at::kFloat || x.scalar_type() == at::kDouble;
  // Both ends are NaN where any element is.
  const auto [low, high] = at::aminmax(wide ? x : x.to(at::kFloat));
  return std::isfinite(low.item<double>()) && std::isfinite(high.item<double>());
}

void check_finite(const Tensor& x, std::string_view where, std::string_view name) {
  SDG_CHECK(!x.is_complex(), where, ": ", name, " holds complex numbers; expected real ones");
  SDG_CHECK(is_finite(x), where, ": ", name, " holds NaN or infinity");
}

}  // namespace sdg
