#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace sdg::io {

/// A regular file inside a tar: its bytes are [offset, offset + size) of the tar (read them with RandomAccessFile).
struct TarEntry {
  std::string name;  ///< without leading '/', "./" and "../"
  uint64_t offset = 0;
  uint64_t size = 0;
};

struct TarIndex {
  std::vector<TarEntry> files;        ///< in the order of their bytes, then by name
  std::vector<std::string> left_out;  ///< "cat/7.png (a symbolic link to /data/7.png, out of the archive)"
};

/// What extracting an uncompressed tar would give (ustar, GNU and pax: long names, large sizes), as GNU tar does it: of
/// entries with one name the last counts; a hard link has the bytes its target has at that moment; a symbolic link is
/// followed in the end, if it stays inside the archive (links to folders as list_files does). A leading "/" and
/// everything up to the last "../" are cut off names, as GNU tar does when it writes them (it refuses to extract them).
/// Devices, pipes, sparse files, links that lead elsewhere and entries that could not be extracted are left out and
/// named. Reads only headers. Throws Error for a compressed, damaged or cut tar: one without the zero block at its end
/// counts as cut.
TarIndex index_tar(const std::filesystem::path& path);

}  // namespace sdg::io
