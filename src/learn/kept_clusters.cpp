#include "sdg/learn/kept_clusters.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/learn/state.h"

namespace sdg::learn {
namespace {
constexpr const char* kName = "kept_clusters";
}

KeptClusters::KeptClusters(int64_t images, int64_t patches)
    : ids_(at::full({images, std::max<int64_t>(1, patches)}, -1, at::kInt)), maps_(patches > 0) {}

bool KeptClusters::has(int64_t image) const {
  return ids_.const_data_ptr<int>()[image * ids_.size(1)] >= 0;
}

Tensor KeptClusters::of(const std::vector<int64_t>& images) const {
  const auto ids = ids_.index_select(0, at::tensor(images, at::kLong)).to(at::kLong);
  return maps_ ? ids : ids.squeeze(1);
}

void KeptClusters::remember(const std::vector<int64_t>& images, const Tensor& ids) {
  const auto width = ids_.size(1);
  const auto clusters = ids.to(at::kCPU).reshape({-1, width}).to(at::kInt).contiguous();
  SDG_ASSERT(clusters.size(0) == static_cast<int64_t>(images.size()), "clusters of ", clusters.size(0), " for ",
             images.size(), " images");
  const auto* rows = clusters.const_data_ptr<int>();
  for (size_t i = 0; i < images.size(); ++i, rows += width)
    std::copy(rows, rows + width, ids_.data_ptr<int>() + images[i] * width);
}

void KeptClusters::save(tensors::TensorFile& file) const {
  if (keeps()) file.tensors[kName] = ids_;
}

void KeptClusters::load(const tensors::TensorFile& file, const std::string& where) {
  if (keeps() && file.tensors.count(kName)) restore(ids_, file, kName, where);
}

}  // namespace sdg::learn
