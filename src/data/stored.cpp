#include "sdg/data/stored.h"

namespace sdg::data {

void ImageSource::digest(int64_t index, io::Digest& out) const {
  if (const auto file = stored(index)) {
    out.bytes(*file);
  } else {
    out.tensor(read(index));
  }
}

}  // namespace sdg::data
