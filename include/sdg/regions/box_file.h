#pragma once
#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "sdg/data/stored.h"
#include "sdg/regions/box.h"

namespace sdg::regions {

/// What becomes of images that no box belongs to.
enum class Missing {
  kRefuse,
  kEmpty,  ///< their map is 0 everywhere
  kWhole,  ///< their map is 1 everywhere
};
constexpr auto names_of(Missing) {
  return std::array{"refuse", "empty", "whole"};
}

/// One box an image, in pixels of the image as it is stored, in the data set's order: `boxes` [N, 4] of a safetensors
/// file (left, top, right, bottom; a row of zeros for no box), or JSON, either a list of [left, top, right, bottom] or
/// null in that order, or an object with the images' names as keys, below the folders that all images share or with
/// these. Throws Error, naming file and image, for another number of boxes, names that no image has, numbers that are
/// not finite, and boxes that are turned round or reach outside of their picture (which this reads for its size).
std::vector<Box> read_boxes(const std::filesystem::path& path, const data::ImageSource& images);

/// The same boxes as they stand in each image's middle square of `side` pixels (in_center_crop).
std::vector<Box> in_center_crops(const std::vector<Box>& boxes, const data::ImageSource& images, int64_t side);

/// What stands in place of boxes that are none. Throws Error for kRefuse, naming the first such image and how many
/// there are.
void settle_missing(std::vector<Box>& boxes, Missing missing, int64_t side, const data::ImageSource& images,
                    const std::string& where);

}  // namespace sdg::regions
