#include "sdg/cluster/noisy_rows.h"

#include <ATen/ATen.h>

namespace sdg::cluster {

Tensor with_noise(const Tensor& x, const Tensor& noise, const Tensor& lengths) {
  return x + lengths.reshape({-1, 1, 1}) * noise / noise.norm(2, {-1}, true).clamp_min(1e-12);
}

Tensor with_gaps(const Tensor& x, const Tensor& uniform, const Tensor& rates) {
  return x * uniform.gt(rates.reshape({-1, 1, 1})).to(x.scalar_type());
}

}  // namespace sdg::cluster
