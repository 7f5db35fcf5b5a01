#pragma once
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::learn {

/// The cluster that each image of the data set had at its last look, in the memory of the host.
class KeptClusters {
 public:
  /// Keeps nothing.
  KeptClusters() = default;
  /// Of a data set of `images`; with `patches` > 0 a map of clusters for each.
  KeptClusters(int64_t images, int64_t patches);

  bool keeps() const { return ids_.defined(); }
  /// Had the image a look yet?
  bool has(int64_t image) const;
  /// int64 [n] or [n, L], -1 without a look yet.
  Tensor of(const std::vector<int64_t>& images) const;
  /// ids int64 [n] or [n, L]; waits for their device.
  void remember(const std::vector<int64_t>& images, const Tensor& ids);
  /// int32 [images, L or 1].
  const Tensor& all() const { return ids_; }

  void save(tensors::TensorFile& file) const;
  /// A file that holds none leaves all images without a look.
  void load(const tensors::TensorFile& file, const std::string& where);

 private:
  Tensor ids_;
  bool maps_ = false;
};

}  // namespace sdg::learn
