#pragma once
#include <filesystem>

namespace sdg::tensors {

/// Files that write_tensors (tensors/tensor_file.h) and TensorStream give a metadata `format` sdg-NAME-N with N over 1
/// hold a checksum: metadata `sdg_checksum`, 32 digits of XXH3-128 over every other byte of the file. read_tensors
/// reads such a file through once (unless told otherwise of large ones) and refuses it where a single bit is another;
/// read_tensor_header does not look.
///
/// Compares a safetensors file with its checksum. Throws Error where they differ or the file is none; false: it has no
/// checksum (files of other programs, and ours from before there were checksums).
bool verify_tensors(const std::filesystem::path& path);

}  // namespace sdg::tensors
