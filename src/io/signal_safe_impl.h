#pragma once
#include <cstddef>
#include <filesystem>

#include "sdg/io/signal_safe.h"

namespace sdg::io {

/// While it lives, `path` is a file that remove_unfinished_files() removes.
class UnfinishedFile {
 public:
  explicit UnfinishedFile(const std::filesystem::path& path);
  ~UnfinishedFile();
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;

 private:
  char* path_;
  bool listed_ = false;
};

/// While it lives, mapped_file_at() knows the mapping [begin, begin + size) by its path.
class NamedMapping {
 public:
  NamedMapping(const void* begin, size_t size, const std::filesystem::path& path);
  ~NamedMapping();
  NamedMapping(const NamedMapping&) = delete;
  NamedMapping& operator=(const NamedMapping&) = delete;

 private:
  struct Node;
  friend MappedFileAt mapped_file_at(const void* address) noexcept;
  static Node* first();
  Node* node_;
};

}  // namespace sdg::io
