#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::io {
/// Reads every .npy array of an .npz (stored or deflated). Throws Error for Fortran order, object arrays and malformed files.
std::map<std::string, Tensor> read_npz(const std::filesystem::path& path);
/// Writes arrays the way numpy.savez does (stored, NPY 1.0, C order), atomically.
void write_npz(const std::filesystem::path& path, const std::map<std::string, Tensor>& arrays);
/// One .npy file.
Tensor read_npy(const std::filesystem::path& path);
}  // namespace sdg::io
