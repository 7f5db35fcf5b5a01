#pragma once
// The JSON header of a safetensors file, checked against the file's size before anything else is believed.
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::tensors {

struct TensorEntry {
  std::string name;
  at::ScalarType dtype{};  ///< Undefined where LibTorch has no such type
  Shape shape;
  uint64_t begin = 0, end = 0;  ///< bytes, from the end of the header
  std::string unread = {};      ///< why the tensor cannot be read; empty: it can
};

struct TensorHeader {
  std::vector<TensorEntry> entries;  ///< in the order of their bytes
  std::map<std::string, std::string> metadata;
  uint64_t data_start = 0;  ///< of the file, in bytes
};

/// Throws Error, beginning with `where`, unless the header describes every byte of `file` exactly once.
TensorHeader parse_tensor_header(std::span<const std::byte> file, const std::string& where);

/// What a file begins with: the length of the header, the header, spaces up to a multiple of 8. The entries' `begin`
/// and `end` are set: they lie one after another, widest elements first, so that each starts on a multiple of its size.
std::string tensor_header_bytes(std::vector<TensorEntry>& entries, const std::map<std::string, std::string>& metadata,
                                const std::string& where);

/// "F32" of at::kFloat; empty where the format has no name for the type.
std::string_view tensor_dtype_name(at::ScalarType dtype);

}  // namespace sdg::tensors
