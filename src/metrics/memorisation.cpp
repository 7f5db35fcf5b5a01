#include "sdg/metrics/memorisation.h"

#include <torch/types.h>

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/metrics/neighbours.h"

namespace sdg::metrics {
namespace {

// Where all neighbours coincide with the image, it is a copy.
Tensor ratios_of(const Neighbours& near) {
  const Tensor mean = near.distances.mean(1);
  return at::where(mean > 0, near.distances.select(1, 0) / mean, at::zeros_like(mean));
}

}  // namespace

Memorisation memorisation(const Tensor& train, const Tensor& fake, const MemorisationOptions& options) {
  torch::NoGradGuard no_grad;
  SDG_CHECK(options.neighbours >= 2 && options.level >= 0 && options.level < 1,
            "memorisation: expected at least 2 neighbours and a level within [0, 1), got ", options.neighbours, " and ",
            options.level);
  SDG_CHECK(train.size(0) >= 3, "memorisation: expected at least 3 training images, got ", train.size(0));
  const auto k = std::min(options.neighbours, train.size(0) - 1);
  const auto near = nearest(fake, train, k), among = nearest_others(train, k);
  Memorisation out;
  out.distances = near.distances.select(1, 0).contiguous();
  out.nearest = near.places.select(1, 0).contiguous();
  out.ratios = ratios_of(near);
  const Tensor sorted = std::get<0>(ratios_of(among).sort(0));  // [N]
  out.threshold = sorted[static_cast<int64_t>(options.level * static_cast<double>(train.size(0)))].item<double>();
  const auto share = [](const Tensor& x) { return x.to(at::kDouble).mean().item<double>(); };
  out.suspicious = share(out.ratios < out.threshold);
  const Tensor own = among.distances.select(1, 0).index_select(0, out.nearest);  // [M]
  out.authentic = share(own < out.distances);
  out.copies = (out.distances == 0).sum().item<int64_t>();
  return out;
}

}  // namespace sdg::metrics
