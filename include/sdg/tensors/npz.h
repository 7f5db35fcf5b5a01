#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

/// NumPy's arrays: NPY 1.0 to 3.0, alone or in a zip (stored or deflated). Bool, integer, float and complex arrays of
/// both orders of bytes and of indices; tensors are row-major. Arrays of objects, text, dates and records cannot be
/// read and are named.
namespace sdg::tensors {

/// What an array is, before its data is read.
struct NpyInfo {
  at::ScalarType dtype{};
  Shape shape;
};

/// Every array of an .npz without its data. An array that cannot be read is named in `unread` with the reason ("holds
/// Python objects …"), or in a warning of the log where there is none.
std::map<std::string, NpyInfo> npz_contents(const std::filesystem::path& path,
                                            std::map<std::string, std::string>* unread = nullptr);

/// Reads every array of an .npz, or those that `wanted` accepts by name. Arrays that cannot be read are named as above;
/// one that `wanted` accepts is an Error unless `unread` takes it. Names are UTF-8, or code page 437 where the zip does
/// not say so, as in Python. Throws Error for malformed files; sizes are compared with the file's before memory is
/// taken.
std::map<std::string, Tensor> read_npz(const std::filesystem::path& path,
                                       const std::function<bool(const std::string&)>& wanted = {},
                                       std::map<std::string, std::string>* unread = nullptr);

/// Calls `take` with successive rows [at most `rows`, ...] of one array, so that an array larger than memory can be
/// read (guided-diffusion's samples `arr_0`: uint8 [N, H, W, C]). Throws Error where `name` is absent or a scalar.
void read_npz_rows(const std::filesystem::path& path, const std::string& name, int64_t rows,
                   const std::function<void(const Tensor&)>& take);

/// Writes arrays the way numpy.savez does (stored, NPY 1.0, C order), atomically.
void write_npz(const std::filesystem::path& path, const std::map<std::string, Tensor>& arrays);

/// One .npy file.
Tensor read_npy(const std::filesystem::path& path);

}  // namespace sdg::tensors
