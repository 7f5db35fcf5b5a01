#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sdg::io {

/// A regular file inside a tar: its bytes are [offset, offset + size) of the tar (read them with RandomAccessFile).
struct TarEntry {
  std::string name;
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// Every regular file of an uncompressed tar (ustar, GNU long names and large sizes, pax `path` and `size`), in the
/// order they are stored; folders, links and devices are left out. Reads only headers. Throws Error for a compressed,
/// damaged or cut tar: one without the zero block at its end counts as cut.
std::vector<TarEntry> index_tar(const std::filesystem::path& path);

}  // namespace sdg::io
