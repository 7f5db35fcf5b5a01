#include "data/turned.h"

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/image/image.h"

namespace sdg::data {

TurnedImages::~TurnedImages() {
  if (indices_.size() > 1)
    log::warning(cat("data: ", indices_.size(),
                     " of the images that were read are to be shown turned (EXIF "
                     "orientation); they were taken as stored"));
}

void TurnedImages::look(int64_t index, std::span<const std::byte> bytes, const std::string& name) {
  const auto orientation = image::exif_orientation(bytes);
  if (orientation == 1) return;
  const std::lock_guard lock(mutex_);
  if (indices_.insert(index).second && indices_.size() == 1)
    log::warning(cat("data: ", name, ": is to be shown turned (EXIF orientation ", orientation,
                     "); images are taken as stored, as Pillow's Image.open takes them"));
}

}  // namespace sdg::data
