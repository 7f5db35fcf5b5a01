#include "sdg/regions/mask_file.h"

#include "regions/crop_place.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/image/image.h"
#include "sdg/io/file_kind.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::regions {
namespace {

constexpr int64_t kNoClass = 255, kMostClasses = 254;

// The rows (or columns) of a picture that the middles of `side` pixels lie in.
Tensor places(int64_t side, double scale, double begin, int64_t size) {
  const auto at = (at::arange(side).to(at::kDouble) + 0.5 + begin) / scale;
  return at.floor().to(at::kLong).clamp(0, size - 1);
}

}  // namespace

MaskFiles::MaskFiles(const std::filesystem::path& path, const data::ImageSource& images)
    : path_(path), images_(images) {
  namespace fs = std::filesystem;
  if (fs::is_directory(path)) {
    for (int64_t i = 0; i < images.size(); ++i) {
      SDG_CHECK(!images.short_name(i).empty(), path.string(),
                ": the images have no names to find their masks by; give a safetensors file");
      SDG_CHECK(fs::is_regular_file(file_of(i)), path.string(), ": no mask of ", images.name(i), ": expected ",
                file_of(i).string());
    }
    return;
  }
  SDG_CHECK(fs::exists(path), path.string(), ": no such folder or file of masks");
  SDG_CHECK(fs::is_regular_file(path) && io::lower_suffix(path) == ".safetensors", path.string(),
            ": masks are read from a folder of PNG files or a safetensors file");
  masks_ = tensors::read_tensors(path).at("masks", path.string());
  SDG_CHECK(masks_.scalar_type() == at::kByte && masks_.dim() == 3 && masks_.size(0) == images.size(), path.string(),
            ": masks must be uint8 [", images.size(), ", H, W], got ", masks_.scalar_type(), " ",
            to_string(masks_.sizes()));
}

std::filesystem::path MaskFiles::file_of(int64_t index) const {
  return path_ / std::filesystem::path(images_.short_name(index)).replace_extension(".png");
}

Tensor MaskFiles::square(int64_t index, int64_t side, int64_t classes, std::optional<int64_t> ignored) const {
  const auto mask = masks_.defined() ? masks_[index] : image::read_png_classes(file_of(index));  // [H, W]
  const auto where = masks_.defined() ? cat(path_.string(), ": mask ", index) : file_of(index).string();
  const auto picture = images_.read(index);
  const auto height = picture.size(1), width = picture.size(2);
  SDG_CHECK(mask.size(0) == height && mask.size(1) == width, where, ": is of ", mask.size(1), " x ", mask.size(0),
            " pixels, its image ", images_.name(index), " of ", width, " x ", height);
  const auto is_ignored = ignored ? mask.eq(*ignored) : at::zeros_like(mask, at::kBool);
  const auto end = classes > 0 ? classes : kMostClasses;
  const auto most = mask.masked_fill(is_ignored, 0).max().item<int64_t>();
  SDG_CHECK(most < end, where, ": holds the value ", most, ", expected classes 0 to ", end - 1,
            ignored ? cat(" and ", *ignored, " for none") : "; --ignored names the value of pixels without a class");
  const auto place = crop_place(height, width, side);
  const auto named = mask.masked_fill(is_ignored, kNoClass);
  return named.index_select(0, places(side, place.scale_y, place.top, height))
      .index_select(1, places(side, place.scale_x, place.left, width));
}

Tensor classes_in(const Tensor& maps, int64_t classes) {
  check_shape(maps, {-1, -1, -1}, "maps");
  auto out = at::zeros({maps.size(0), classes}, at::kFloat);
  const auto flat = maps.flatten(1);
  for (int64_t i = 0; i < maps.size(0); ++i) {  // one image at a time: [S * S] numbers, not [S * S, classes]
    const auto found = flat[i].masked_select(flat[i].ne(kNoClass)).to(at::kLong);
    out[i].index_fill_(0, found, 1);
  }
  return out;
}

}  // namespace sdg::regions
