#include "sdg/learn/parameter_groups.h"

#include <algorithm>

namespace sdg::learn {

std::vector<ParameterGroup> parameter_groups(const recipe::TrainOptions& options,
                                             const std::vector<network::NamedRange>& ranges, size_t head) {
  std::vector<ParameterGroup> out;
  for (size_t i = 0; i < ranges.size(); ++i) {
    const auto& range = ranges[i];
    const bool spared = options.no_decay == recipe::NoDecay::kNormsBiases && range.dimensions <= 1;
    const double lr = i < head ? 1 : options.head_lr, decay = spared ? 0 : options.weight_decay;
    auto group =
        std::find_if(out.begin(), out.end(), [&](const auto& g) { return g.lr == lr && g.weight_decay == decay; });
    if (group == out.end()) group = out.insert(out.end(), ParameterGroup{lr, decay, {}});
    auto& parts = group->parts;
    if (!parts.empty() && parts.back().end == range.begin) {
      parts.back().end = range.end;
    } else {
      parts.push_back({range.begin, range.end});
    }
  }
  return out;
}

}  // namespace sdg::learn
