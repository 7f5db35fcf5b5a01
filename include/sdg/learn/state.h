#pragma once
#include <string>

#include "sdg/core/tensor.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::learn {

/// Copies the stored tensor `name` into `target`. Throws Error, beginning with `where`, where it is missing or has
/// another shape.
void restore(const Tensor& target, const tensors::TensorFile& file, const std::string& name, const std::string& where);

}  // namespace sdg::learn
