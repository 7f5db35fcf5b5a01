#pragma once
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::learn {

/// What each image of the data set was told at its last look, where images are told what the teacher sees in them
/// (condition.token embedding): in the memory of the host, in half precision.
class KeptTokens {
 public:
  /// Keeps nothing.
  KeptTokens() = default;
  KeptTokens(int64_t images, int64_t width);

  bool keeps() const { return tokens_.defined(); }
  /// float32 [n, p], 0 without a look yet.
  Tensor of(const std::vector<int64_t>& images) const;
  /// tokens [n, p]; waits for their device.
  void remember(const std::vector<int64_t>& images, const Tensor& tokens);
  /// float16 [images, p]; stays the same memory.
  const Tensor& all() const { return tokens_; }

  void save(tensors::TensorFile& file) const;
  /// A file that holds none leaves all images without a look.
  void load(const tensors::TensorFile& file, const std::string& where);

 private:
  Tensor tokens_;
};

}  // namespace sdg::learn
