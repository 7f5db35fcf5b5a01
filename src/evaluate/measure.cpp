#include "sdg/evaluate/measure.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/text.h"
#include "sdg/io/file_kind.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/weights.h"

namespace sdg::evaluate {
namespace {

bool is_npz(const std::string& path) {
  return io::lower_suffix(path) == ".npz";
}

}  // namespace

bool holds_statistics(const std::string& path) {
  const auto suffix = io::lower_suffix(path);
  if (suffix == ".pt" || suffix == ".pth" || suffix == ".pkl") {  // torch-fidelity's, EDM2's
    try {
      const auto tensors = tensors::read_weights(path).tensors;
      return std::any_of(tensors.begin(), tensors.end(), [&](const auto& item) {
        const std::string& name = item.first;
        const bool is_mean = name == "mu" || name.ends_with(".mu");
        return is_mean && tensors.contains(name.substr(0, name.size() - 2) + "sigma");
      });
    } catch (const Error&) {
      return false;  // what else it is will be said where it is opened
    }
  }
  if (!is_npz(path)) return false;
  const auto contents = tensors::npz_contents(path);
  return contents.count("mu") || contents.count("sigma") || contents.count("features");
}

metrics::Gaussian read_statistics(const std::string& path, const vision::FeatureExtractor& extractor) {
  const auto name = extractor.name();
  const auto part = name.starts_with("inception") ? "fid" : name == "dinov2-vitl14" ? "fd_dinov2" : name;
  auto statistics = metrics::read_statistics(path, part);
  check_comparable(statistics, path, extractor);
  return statistics;
}

metrics::Gaussian measure(const std::string& path, vision::FeatureExtractor& extractor, const MeasureOptions& options,
                          const Progress& progress, Reducer& reducer) {
  if (holds_statistics(path)) {
    SDG_CHECK_USAGE(options.limit == 0, path, ": holds statistics, of which no smaller number of images can be taken");
    SDG_CHECK_USAGE(options.size == 0, path, ": holds statistics, whose images cannot be brought to another size");
    return read_statistics(path, extractor);
  }
  return gaussian_of(path_feed(path, options, progress), extractor, reducer);
}

void check_comparable(const metrics::Gaussian& statistics, const std::string& where,
                      const vision::FeatureExtractor& extractor) {
  SDG_CHECK(statistics.extractor.empty() || statistics.extractor == extractor.name(), where,
            ": these statistics are of features of ", statistics.extractor,
            ", the distance is to be taken in those of ", extractor.name());
  SDG_CHECK(statistics.mu.size(0) == extractor.dim(), where, ": these statistics have ", statistics.mu.size(0),
            " features, ", extractor.name(), " gives ", extractor.dim());
  SDG_CHECK(statistics.weights.empty() || statistics.weights == extractor.weights_digest(), where,
            ": these statistics were made with other weights of ", extractor.name(), " (", statistics.weights,
            ") than the distance is to be taken with (", extractor.weights_digest(), ")");
  std::vector<std::string> unknown;
  if (statistics.extractor.empty()) unknown.emplace_back("which network made them");
  if (statistics.count == 0) unknown.emplace_back("of how many images");
  if (!unknown.empty())
    log::warning(
        cat(where, ": the statistics do not say ", join(unknown, " nor "), "; taken as ", extractor.name(), "'s"));
}

}  // namespace sdg::evaluate
