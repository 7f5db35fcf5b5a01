#pragma once
// What a tar file says, entry by entry, before anybody asks what extracting it would give.
#include <cstdint>
#include <string>
#include <vector>

#include "sdg/io/random_access_file.h"

namespace sdg::io {

struct TarRecord {
  std::string name, link;  ///< as stored; `link` of hard and symbolic links
  char type = '0';         ///< of the header: '0' and its relatives a file, '1' a hard link, '2' a symbolic one, …
  uint64_t offset = 0, size = 0;
  bool sparse = false;  ///< its bytes are not the file's

  bool is_file() const { return type == '0' || type == '\0' || type == '7'; }
};

/// Every entry in the order stored, long names applied. Throws Error as index_tar.
std::vector<TarRecord> read_tar_records(const RandomAccessFile& file);

}  // namespace sdg::io
