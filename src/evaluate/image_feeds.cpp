#include "sdg/evaluate/image_feeds.h"

#include <algorithm>
#include <functional>

#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/core/text.h"
#include "sdg/data/crop.h"
#include "sdg/evaluate/read_ahead.h"
#include "sdg/io/file_kind.h"
#include "sdg/network/assign.h"
#include "sdg/tensors/npz.h"

namespace sdg::evaluate {
namespace {

using Take = std::function<void(const std::vector<Tensor>&)>;

constexpr int64_t kAtOnce = 128;
constexpr int64_t kBytesAtOnce = int64_t{1} << 29;  // photographs at their own size are large

Tensor prepared(const Tensor& image, int64_t size) {
  return size > 0 ? data::adm_center_crop(image, size) : image;
}

Tensor read_named(const data::ImageSource& images, int64_t index) {
  try {
    return images.read(index);
  } catch (const Error& error) {
    const std::string what = error.what(), name = images.name(index);
    throw Error(cat("cannot measure ", what.find(name) == std::string::npos ? name + ": " : "", what));
  }
}

// Reads images while others go through a network. A pool of its own, since that of the process serves one caller at a
// time; with one worker there is nothing to read ahead with.
WorkerPool& readers() {
  static WorkerPool pool(worker_pool().threads());
  return pool;
}

// An image from wanted[first] on could not be read: all of them are looked at, so that they are counted and named at
// once instead of one a call.
[[noreturn]] void refuse_broken(const data::ImageSource& images, const std::vector<int64_t>& wanted, int64_t first,
                                const Error& found) {
  const auto count = static_cast<int64_t>(wanted.size()) - first;
  std::vector<std::string> messages(static_cast<size_t>(count));
  readers().run(count, [&](int64_t i) {
    try {
      read_named(images, wanted[static_cast<size_t>(first + i)]);
    } catch (const Error& error) {
      messages[static_cast<size_t>(i)] = error.what();
    }
  });
  std::string told = found.what();
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) {
    const auto& message = messages[static_cast<size_t>(i)];
    if (message.empty()) continue;
    if (names.empty()) told = message;
    names.push_back(images.name(wanted[static_cast<size_t>(first + i)]));
  }
  if (names.size() < 2) throw Error(told);
  throw Error(cat(told, " (", names.size(), " of ", wanted.size(), " images cannot be read: ", join_first(names), ")"));
}

Tensor first_of(const data::ImageSource& images, const std::vector<int64_t>& wanted) {
  try {
    return read_named(images, wanted.front());
  } catch (const Error& error) {
    refuse_broken(images, wanted, 0, error);
  }
}

// The images that are measured, sorted.
std::vector<int64_t> wanted_of(int64_t size, int64_t limit) {
  return network::evaluation_subset(size, limit > 0 ? limit : size, 0);
}

}  // namespace

metrics::ImageFeed dataset_feed(const data::Dataset& dataset, int64_t limit, const Progress& progress) {
  return [&dataset, limit, progress](const Take& take) {
    const auto indices = wanted_of(dataset.size(), limit);
    const auto total = static_cast<int64_t>(indices.size());
    for (int64_t first = 0; first < total; first += kAtOnce) {
      const int64_t n = std::min(kAtOnce, total - first);
      const auto own = at::IntArrayRef(indices).slice(static_cast<size_t>(first), static_cast<size_t>(n));
      const auto images = dataset.images(own);  // [n, C, S, S]
      std::vector<Tensor> piece;
      for (int64_t row = 0; row < n; ++row) {
        const int64_t index = own[static_cast<size_t>(row)];
        if (dataset.shown(index) == index) piece.push_back(images[row]);
      }
      take(piece);
      if (progress) progress(first + n, total);
    }
  };
}

metrics::ImageFeed source_feed(const data::ImageSource& images, const MeasureOptions& options,
                               const Progress& progress) {
  return [&images, options, progress](const Take& take) {
    const auto wanted = wanted_of(images.size(), options.limit);
    const auto total = static_cast<int64_t>(wanted.size());
    if (total == 0) return;
    const Tensor first = first_of(images, wanted);  // how large they are
    const auto at_once = std::clamp<int64_t>(kBytesAtOnce / std::max<int64_t>(1, first.numel()), 1, kAtOnce);
    const auto read = [&](int64_t done) {
      std::vector<Tensor> piece(static_cast<size_t>(std::min(at_once, total - done)));
      try {
        readers().run(static_cast<int64_t>(piece.size()), [&](int64_t i) {
          const auto place = done + i;
          const auto image = place == 0 ? first : read_named(images, wanted[static_cast<size_t>(place)]);
          piece[static_cast<size_t>(i)] = prepared(image, options.size);
        });
      } catch (const Error& error) {
        refuse_broken(images, wanted, done, error);
      }
      return piece;
    };
    in_pieces(total, worker_pool().threads() > 1, read, [&](const std::vector<Tensor>& piece, int64_t done) {
      take(piece);
      if (progress) progress(done, total);
    });
  };
}

metrics::ImageFeed npz_feed(const std::string& path, const MeasureOptions& options, const Progress& progress) {
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
  return [path, count = shape[0], options, progress](const Take& take) {
    const auto wanted = wanted_of(count, options.limit);
    int64_t first = 0, done = 0;
    size_t next = 0;
    tensors::read_npz_rows(path, "arr_0", kAtOnce, [&](const Tensor& rows) {
      std::vector<Tensor> images;
      for (; next < wanted.size() && wanted[next] < first + rows.size(0); ++next)
        images.push_back(prepared(rows[wanted[next] - first].permute({2, 0, 1}).contiguous(), options.size));
      first += rows.size(0);
      if (images.empty()) return;
      take(images);
      done += static_cast<int64_t>(images.size());
      if (progress) progress(done, static_cast<int64_t>(wanted.size()));
    });
  };
}

metrics::ImageFeed path_feed(const std::string& path, const MeasureOptions& options, const Progress& progress) {
  if (io::lower_suffix(path) == ".npz") return npz_feed(path, options, progress);
  data::DataOptions where;
  where.path = path;
  const auto opened = std::make_shared<const data::OpenedData>(data::open_data(where, ""));
  SDG_CHECK_USAGE(opened->images, opened->path, ": holds latents; expected images (sdg decode makes them)");
  SDG_CHECK(opened->images->size() != 1, opened->path, ": holds one image; a covariance of features needs at least 2");
  return [opened, feed = source_feed(*opened->images, options, progress)](const Take& take) { feed(take); };
}

metrics::ImageFeed sample_feed(const checkpoint::Trained& trained, const generate::Request& request,
                               const at::Device& device, const Progress& progress) {
  return [&trained, request, device, progress](const Take& take) {
    generate::generate(
        trained.info.config, trained.network, trained.prior, device, request,
        [&](const generate::Generated& piece) { take(piece.images.unbind(0)); }, progress);
  };
}

metrics::Gaussian gaussian_of(const metrics::ImageFeed& feed, vision::FeatureExtractor& extractor, Reducer& reducer) {
  metrics::GaussianAccumulator sums(extractor.dim());
  const auto fed = metrics::for_each_features(feed, std::ref(extractor), {&sums}, reducer);
  if (reducer.rank() > 0) return {};
  auto out = sums.result();
  out.extractor = extractor.name();
  out.weights = extractor.weights_digest();
  out.size = fed.size;
  return out;
}

}  // namespace sdg::evaluate
