#pragma once
#include <cstddef>

/// What a signal handler may ask of this folder: nothing here allocates, locks or throws.
namespace sdg::io {

/// Unlinks the files beside their final names that are being written just now. Only for a process that ends right
/// after.
void remove_unfinished_files() noexcept;

struct MappedFileAt {
  const char* path = nullptr;  ///< nullptr: no file is mapped there
  std::size_t size = 0;        ///< in bytes, of the file when it was mapped

  /// Whether the file that has this path now is shorter than it was.
  bool shortened() const noexcept;
};

/// The file that is mapped where `address` points to.
MappedFileAt mapped_file_at(const void* address) noexcept;

}  // namespace sdg::io
