#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "sdg/core/tensor.h"

/// Safetensors: an 8-byte little-endian header length, a JSON header, raw row-major tensors. Nothing in it can execute.
namespace sdg::io {

struct TensorFile {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;

  /// The tensor of that name; throws an Error that names `where` if it is absent.
  const Tensor& at(const std::string& name, const std::string& where = "tensor file") const;
};

/// Reads a safetensors file by mmap: tensors are views into the mapping (which lives as long as any of them), so memory
/// is not doubled; writing to them changes this process's copy only, never the file. Throws Error for a missing,
/// truncated or malformed file (header over 100 MB, overlapping or holed offsets, sizes that do not match shapes,
/// unknown dtypes, duplicate keys), saying which. Files of ours with a checksum are read through once and compared with
/// it: one that holds a single other bit is refused.
TensorFile read_tensors(const std::filesystem::path& path);

/// Reads the file through and compares it with its checksum. Throws Error where they differ; false: it has none (files
/// of other programs, and ours from before there were checksums).
bool verify_tensors(const std::filesystem::path& path);

/// Only the metadata and the shapes, and no checksum: does not touch the tensors' bytes. Tensors come back on the meta
/// device.
TensorFile read_tensor_header(const std::filesystem::path& path);

/// Writes a safetensors file atomically (see io/atomic_file.h). Tensors are moved to the CPU and made contiguous.
/// Metadata `format` sdg-NAME-N with N over 1 gives it a checksum: metadata `sdg_checksum`, 32 digits of XXH3-128 over
/// every other byte of the file.
void write_tensors(const std::filesystem::path& path, const TensorFile& file);

}  // namespace sdg::io
