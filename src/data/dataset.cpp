#include "sdg/data/dataset.h"

#include <algorithm>

#include "sdg/core/parallel.h"

namespace sdg::data {

Tensor Dataset::values(at::IntArrayRef indices) const {
  Tensor out = at::empty({static_cast<int64_t>(indices.size()), channels(), image_size(), image_size()}, at::kFloat);
  samples_->read_rows(indices, out, {});
  return out;
}

std::vector<int64_t> Dataset::shown(at::IntArrayRef indices) const {
  std::vector<int64_t> out(indices.begin(), indices.end());
  constexpr int64_t kRun = 256;  // known images cost nothing, so that a run of them must not cost a call
  const auto total = static_cast<int64_t>(out.size());
  worker_pool().run((total + kRun - 1) / kRun, [&](int64_t run) {
    const auto end = static_cast<size_t>(std::min(total, (run + 1) * kRun));
    for (auto i = static_cast<size_t>(run * kRun); i < end; ++i) out[i] = shown(out[i]);
  });
  return out;
}

Tensor Dataset::image(int64_t index) const {
  return images({index})[0];
}

Tensor Dataset::images(at::IntArrayRef indices) const {
  Tensor out = at::empty({static_cast<int64_t>(indices.size()), channels(), image_size(), image_size()}, at::kByte);
  auto* row = out.mutable_data_ptr<uint8_t>();
  const int64_t image_bytes = channels() * image_size() * image_size();
  for (const int64_t index : indices) {
    samples_->read_pixels(index, row);
    row += image_bytes;
  }
  return out;
}

}  // namespace sdg::data
