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

std::vector<RowRange> parts_of(const std::vector<ParameterGroup>& groups) {
  std::vector<RowRange> out;
  for (const auto& group : groups) out.insert(out.end(), group.parts.begin(), group.parts.end());
  std::sort(out.begin(), out.end(), [](const RowRange& a, const RowRange& b) { return a.begin < b.begin; });
  return out;
}

std::vector<ParameterGroup> groups_within(const std::vector<ParameterGroup>& groups, RowRange place) {
  std::vector<ParameterGroup> out;
  for (const auto& group : groups) {
    ParameterGroup own{group.lr, group.weight_decay, {}};
    for (const auto& part : group.parts) {
      const RowRange both{std::max(part.begin, place.begin), std::min(part.end, place.end)};
      if (both.size() > 0) own.parts.push_back({both.begin - place.begin, both.end - place.begin});
    }
    if (!own.parts.empty()) out.push_back(own);
  }
  return out;
}

}  // namespace sdg::learn
