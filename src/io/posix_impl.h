#pragma once
// Owners of what the operating system lends, shared by the files of this folder.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/signal_safe_impl.h"

namespace sdg::io {

/// Closes a file descriptor when it goes.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  int release();

 private:
  int value_;
};

/// A regular file opened for reading, and its size in bytes. Throws Error (missing, folder, no permission).
struct OpenedFile {
  Descriptor descriptor;
  uint64_t size;

  explicit OpenedFile(const std::filesystem::path& path);
};

/// A whole file mapped privately: writes to it stay in this process.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path) : MappedFile(OpenedFile(path), path) {}
  MappedFile(const OpenedFile& file, const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::optional<NamedMapping> name_;  // for the message, should the file be shortened meanwhile
};

/// Fills `into` from `offset` on. Throws Error, beginning with `where`, for a file that ends before.
void read_exactly(const OpenedFile& file, uint64_t offset, std::span<std::byte> into, const std::string& where);

/// "path: what: No such file or directory", from errno.
[[noreturn]] void throw_errno(const std::filesystem::path& path, std::string_view what);

}  // namespace sdg::io
