#include "sdg/evaluate/metric_kinds.h"

#include <algorithm>

#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"

namespace sdg::evaluate {

MetricNeeds needs_of(Metric metric) {
  using vision::Layer;
  switch (metric) {
    case Metric::kFrechet:
      return {};
    case Metric::kSpatial:
      return {.layer = Layer::kSpatial};
    case Metric::kSpatialBlock:
      return {.layer = Layer::kSpatialBlock};
    case Metric::kScore:
      return {.measured_rows = true, .reference = false, .layer = Layer::kLogits};
    case Metric::kKernel:
    case Metric::kManifold:
    case Metric::kDensity:
    case Metric::kMemorised:
      return {.measured_rows = true, .reference_rows = true};
    case Metric::kLimit:
    case Metric::kInterval:
      return {.measured_rows = true};
  }
  throw Error("metric of no kind");
}

std::vector<Metric> parse_metrics(const std::string& text, const vision::FeatureExtractor& extractor) {
  constexpr auto names = names_of(Metric{});
  std::vector<Metric> out;
  const auto add = [&](Metric metric) {
    if (std::find(out.begin(), out.end(), metric) == out.end()) out.push_back(metric);
  };
  for (size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    const auto name = text.substr(begin, end - begin);
    begin = end + 1;
    if (name == "all") {
      for (size_t i = 0; i < names.size(); ++i)
        if (extractor.width(needs_of(static_cast<Metric>(i)).layer) > 0) add(static_cast<Metric>(i));
    } else if (name == "prdc") {
      add(Metric::kManifold);
      add(Metric::kDensity);
    } else {
      const auto metric = config::from_name<Metric>(name);
      SDG_CHECK_USAGE(metric, "--metrics: expected names of ",
                      join(std::vector<std::string>(names.begin(), names.end())), ", prdc or all, got \"", name, "\"");
      SDG_CHECK_USAGE(extractor.width(needs_of(*metric).layer) > 0, "--metrics: ", name, " needs a layer that ",
                      extractor.name(), ", or its file of weights, does not have");
      add(*metric);
    }
  }
  return out;
}

std::string metric_title(const std::string& base, const vision::FeatureExtractor& extractor) {
  const auto own = extractor.metric_name();
  const bool inception = own.starts_with("FID");
  const auto behind = own.substr(inception ? 3 : 2);  // "", "-tf1", "-digits"
  if (inception) return base + behind;
  if (base == "FID") return own;
  if (base == "FID-infinity") return own + "-infinity";
  if (base == "KID") return "KD" + behind;
  if (base.starts_with("sFID")) return "sFD" + base.substr(4) + behind;
  return base + behind;
}

}  // namespace sdg::evaluate
