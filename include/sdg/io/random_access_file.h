#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

namespace sdg::io {

/// A file of which any part can be read at any time: const methods may be called from several threads at once.
class RandomAccessFile {
 public:
  /// Throws Error for a missing file, a folder, or one that may not be read.
  explicit RandomAccessFile(std::filesystem::path path);
  ~RandomAccessFile();
  RandomAccessFile(RandomAccessFile&&) noexcept;
  RandomAccessFile& operator=(RandomAccessFile&&) noexcept;

  const std::filesystem::path& path() const { return path_; }
  uint64_t size() const;  ///< bytes, when it was opened
  /// Throws Error where the file is shorter now than it was then: whoever maps it asks before reading, since the pages
  /// that are gone read as zeros or end the process.
  void check_not_shortened() const;
  /// Exactly `size` bytes from `offset`; throws Error where the file ends before that.
  std::vector<std::byte> read(uint64_t offset, uint64_t size) const;
  /// The same into memory of the caller.
  void read_into(uint64_t offset, std::span<std::byte> out) const;

 private:
  struct State;
  std::filesystem::path path_;
  std::unique_ptr<State> state_;
};

}  // namespace sdg::io
