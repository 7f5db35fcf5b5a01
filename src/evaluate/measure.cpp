#include "sdg/evaluate/measure.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/parallel.h"
#include "sdg/core/text.h"
#include "sdg/data/crop.h"
#include "sdg/io/file_kind.h"
#include "sdg/metrics/statistics.h"
#include "sdg/network/assign.h"
#include "sdg/tensors/npz.h"

namespace sdg::evaluate {
namespace {

constexpr int64_t kAtOnce = 128;
constexpr int64_t kBytesAtOnce = int64_t{1} << 29;  // photographs at their own size are large

bool is_npz(const std::string& path) {
  return io::lower_suffix(path) == ".npz";
}

Tensor prepared(const Tensor& image, int64_t size) {
  return size > 0 ? data::adm_center_crop(image, size) : image;
}

metrics::Gaussian npz_statistics(const std::string& path, vision::FeatureExtractor& extractor,
                                 const MeasureOptions& options, const Progress& progress) {
  const auto contents = tensors::npz_contents(path);
  const auto found = contents.find("arr_0");
  SDG_CHECK(found != contents.end(), path, ": expected statistics (mu and sigma) or images (arr_0, uint8 NHWC), got ",
            contents.empty() ? "no array" : cat("the arrays ", join([&] {
                                                  std::vector<std::string> names;
                                                  for (const auto& [name, info] : contents) names.push_back(name);
                                                  return names;
                                                }())));
  const auto& shape = found->second.shape;
  SDG_CHECK(shape.size() == 4 && found->second.dtype == at::kByte && (shape[3] == 1 || shape[3] == 3), path,
            ": arr_0 must be uint8 [N, H, W, 1 or 3], got ", found->second.dtype, " ", to_string(shape));
  const auto wanted = network::evaluation_subset(shape[0], options.limit > 0 ? options.limit : shape[0], 0);  // sorted
  metrics::Statistics statistics(extractor);
  int64_t first = 0, done = 0;
  size_t next = 0;
  tensors::read_npz_rows(path, "arr_0", kAtOnce, [&](const Tensor& rows) {
    std::vector<Tensor> images;
    for (; next < wanted.size() && wanted[next] < first + rows.size(0); ++next)
      images.push_back(prepared(rows[wanted[next] - first].permute({2, 0, 1}).contiguous(), options.size));
    first += rows.size(0);
    if (images.empty()) return;
    statistics.add(images);
    done += static_cast<int64_t>(images.size());
    if (progress) progress(done, static_cast<int64_t>(wanted.size()));
  });
  return statistics.result();
}

}  // namespace

bool holds_statistics(const std::string& path) {
  if (!is_npz(path)) return false;
  const auto contents = tensors::npz_contents(path);
  return contents.count("mu") || contents.count("sigma");
}

metrics::Gaussian measure(const std::string& path, vision::FeatureExtractor& extractor, const MeasureOptions& options,
                          const Progress& progress) {
  if (holds_statistics(path)) {
    SDG_CHECK_USAGE(options.limit == 0, path, ": holds statistics, of which no smaller number of images can be taken");
    SDG_CHECK_USAGE(options.size == 0, path, ": holds statistics, whose images cannot be brought to another size");
    auto statistics = metrics::read_statistics(path);
    check_comparable(statistics, path, extractor);
    return statistics;
  }
  if (is_npz(path)) return npz_statistics(path, extractor, options, progress);
  data::DataOptions where;
  where.path = path;
  const auto opened = data::open_data(where, "");
  SDG_CHECK_USAGE(opened.images, opened.path, ": holds latents; expected images (sdg decode makes them)");
  return source_statistics(*opened.images, extractor, options, progress);
}

metrics::Gaussian source_statistics(const data::ImageSource& images, vision::FeatureExtractor& extractor,
                                    const MeasureOptions& options, const Progress& progress) {
  const auto wanted = network::evaluation_subset(images.size(), options.limit > 0 ? options.limit : images.size(), 0);
  const auto total = static_cast<int64_t>(wanted.size());
  metrics::Statistics statistics(extractor);
  int64_t at_once = kAtOnce;
  for (int64_t done = 0; done < total;) {
    if (done == 0) {
      const auto bytes = std::max<int64_t>(1, images.read(wanted.front()).numel());
      at_once = std::clamp<int64_t>(kBytesAtOnce / bytes, 1, kAtOnce);
    }
    const int64_t n = std::min(at_once, total - done);
    std::vector<Tensor> piece(static_cast<size_t>(n));
    worker_pool().run(n, [&](int64_t i) {
      const auto index = wanted[static_cast<size_t>(done + i)];
      try {
        piece[static_cast<size_t>(i)] = prepared(images.read(index), options.size);
      } catch (const Error& error) {
        const std::string what = error.what(), name = images.name(index);
        throw Error(cat("cannot measure ", what.find(name) == std::string::npos ? name + ": " : "", what));
      }
    });
    statistics.add(piece);
    done += n;
    if (progress) progress(done, total);
  }
  return statistics.result();
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
