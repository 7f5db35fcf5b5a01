#include "cli/reference.h"

#include <filesystem>

#include "cli/terminal.h"
#include "sdg/core/error.h"
#include "sdg/io/npz.h"
#include "sdg/train/evaluate.h"
#include "sdg/train/latent_images.h"

namespace sdg::cli {
namespace {

bool is_npz(const std::string& path) {
  return std::filesystem::path(path).extension() == ".npz";
}

// Folders and tars become the size and channels that the reference images have; an npz is taken as it is.
Tensor images_of_npz(const std::string& path) {
  const auto arrays = io::read_npz(path);
  const auto found = arrays.find("arr_0");
  SDG_CHECK(found != arrays.end(), path, ": expected an array arr_0 (uint8 NHWC), there is none");
  SDG_CHECK(found->second.dim() == 4 && found->second.scalar_type() == at::kByte, path,
            ": arr_0 must be uint8 [N, H, W, C], got ", to_string(found->second.sizes()));
  return found->second.permute({0, 3, 1, 2}).contiguous();
}

}  // namespace

metrics::Gaussian statistics_of(const std::string& path, data::DataOptions options,
                                metrics::FeatureExtractor& extractor, int64_t limit, const std::string& title) {
  ProgressBar bar(title, "img/s");
  if (is_npz(path)) {
    const auto arrays = io::read_npz(path);
    if (arrays.count("mu")) return metrics::read_statistics(path);
    return train::image_statistics(images_of_npz(path), extractor, bar.callback());
  }
  if (!path.empty()) {
    options.path = path;
    options.format = "auto";
  }
  return train::dataset_statistics(train::open_images(options, ""), extractor, limit, bar.callback());
}

}  // namespace sdg::cli
