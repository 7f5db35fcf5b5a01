#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "io/posix_impl.h"
#include "sdg/core/error.h"

namespace sdg::io {

Descriptor::~Descriptor() {
  if (value_ >= 0) ::close(value_);
}

int Descriptor::release() {
  return std::exchange(value_, -1);
}

void throw_errno(const std::filesystem::path& path, std::string_view what) {
  const int code = errno;
  throw Error(cat(path.string(), ": ", what, ": ", std::generic_category().message(code)));
}

OpenedFile::OpenedFile(const std::filesystem::path& path)
    : descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)), size(0) {  // a pipe must not block here
  if (descriptor.get() < 0) throw_errno(path, "cannot read");
  struct stat status{};
  if (::fstat(descriptor.get(), &status) != 0) throw_errno(path, "cannot read");
  SDG_CHECK(S_ISREG(status.st_mode), path.string(), ": cannot read: not a regular file",
            S_ISDIR(status.st_mode) ? " but a folder" : "");
  size = static_cast<uint64_t>(status.st_size);
}

MappedFile::MappedFile(const OpenedFile& file, const std::filesystem::path& path) {
  size_ = static_cast<size_t>(file.size);
  if (size_ == 0) return;  // an empty mapping is not allowed, an empty file is
  // Private and writable: a stray in-place operation changes this process's copy, never the file.
  void* address = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file.descriptor.get(), 0);
  if (address == MAP_FAILED) throw_errno(path, "cannot map");
  data_ = static_cast<std::byte*>(address);
  name_.emplace(address, size_, path);
}

MappedFile::~MappedFile() {
  name_.reset();
  if (data_) ::munmap(data_, size_);
}

void read_exactly(const OpenedFile& file, uint64_t offset, std::span<std::byte> into, const std::string& where) {
  while (!into.empty()) {
    const ssize_t count = ::pread(file.descriptor.get(), into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(where, "cannot read");
    SDG_CHECK(count > 0, where, ": ends at byte ", offset, ", ", into.size(), " more were expected");
    into = into.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

}  // namespace sdg::io
