#pragma once
#include <filesystem>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::conditions {

/// Condition indices that were made elsewhere, int64 [images] in the data set's order: a safetensors file with an
/// integer tensor `ids` (or only one tensor), an .npy file with integers, or text with one index a line (CSV: the last
/// column; a first line without a number is a heading). Throws Error, naming file and line, for anything else, for
/// negative indices, indices of 2^20 and more, and for another number of images.
Tensor read_indices(const std::filesystem::path& path, int64_t images);
/// For how many images such a file is; 0 where it holds no list. Throws Error where it cannot be read.
int64_t count_indices(const std::filesystem::path& path);

/// Digest of such indices, by which a run knows those it was trained on again.
std::string condition_key(const Tensor& ids);

}  // namespace sdg::conditions
