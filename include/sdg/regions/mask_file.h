#pragma once
#include <filesystem>
#include <optional>

#include "sdg/data/opened.h"

namespace sdg::regions {

/// Where classes of pixels come from: uint8 [H, W] of image i, as large as the image is stored.
class MaskFiles {
 public:
  /// A folder of PNG files of class numbers (image/image.h, read_png_classes), each under its image's name below the
  /// folders that all images share, with the suffix .png, or a safetensors file with `masks` uint8 [N, H, W] in the
  /// data set's order. Throws Error for a folder that lacks an image's file, naming it, and for another number of
  /// masks.
  MaskFiles(const std::filesystem::path& path, const data::ImageSource& images);

  /// uint8 [side, side]: the classes at the middles of the pixels of the middle square that the network sees
  /// (data/crop.h). `ignored` comes out as 255, no class; null: every number is a class. Throws Error, naming the file,
  /// for a mask of another size than its image and for other numbers from `classes` (0: 254) on.
  Tensor square(int64_t index, int64_t side, int64_t classes, std::optional<int64_t> ignored) const;

 private:
  std::filesystem::path file_of(int64_t index) const;

  std::filesystem::path path_;
  const data::ImageSource& images_;
  Tensor masks_;  // of a safetensors file
};

/// float32 [N, classes]: 1 where a class has a pixel in the map of uint8 [N, S, S]; 255 is none.
Tensor classes_in(const Tensor& maps, int64_t classes);

}  // namespace sdg::regions
