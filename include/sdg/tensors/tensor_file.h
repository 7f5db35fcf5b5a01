#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "sdg/core/tensor.h"

/// Safetensors: an 8-byte little-endian header length, a JSON header, raw row-major tensors. Nothing in it can execute.
namespace sdg::tensors {

struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
  std::map<std::string, std::string> unread = {};  ///< tensors that are in the file and cannot be read, and why

  /// The tensor of that name; throws an Error that names `where` if it is absent or unread.
  const Tensor& at(const std::string& name, const std::string& where = "tensor file") const;
};

/// Reads a safetensors file by mmap: tensors are views into the mapping (which lives as long as any of them), so memory
/// is not doubled; writing to them changes this process's copy only, never the file. Throws Error for a missing,
/// truncated or malformed file (header over 100 MB, overlapping or holed offsets, sizes that do not match shapes,
/// duplicate keys), saying which. A tensor of a type that LibTorch lacks (F4, F6, types of the future) is in `unread`.
/// A file with a checksum (tensors/verify.h) of at most `most_checked` bytes is compared with it.
TensorFile read_tensors(const std::filesystem::path& path, uint64_t most_checked = UINT64_MAX);

/// Only the metadata and the shapes: does not touch the tensors' bytes. Tensors come back on the meta device.
TensorFile read_tensor_header(const std::filesystem::path& path);

/// Writes a safetensors file atomically (see io/atomic_file.h). Tensors are moved to the CPU and made contiguous.
void write_tensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace sdg::tensors
