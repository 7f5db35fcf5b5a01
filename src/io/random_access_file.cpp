#include "sdg/io/random_access_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "io/posix_impl.h"
#include "sdg/core/error.h"

namespace sdg::io {

struct RandomAccessFile::State {
  OpenedFile file;
};

RandomAccessFile::RandomAccessFile(std::filesystem::path path)
    : path_(std::move(path)), state_(new State{OpenedFile(path_)}) {}
RandomAccessFile::~RandomAccessFile() = default;
RandomAccessFile::RandomAccessFile(RandomAccessFile&&) noexcept = default;
RandomAccessFile& RandomAccessFile::operator=(RandomAccessFile&&) noexcept = default;

uint64_t RandomAccessFile::size() const {
  return state_->file.size;
}

void RandomAccessFile::check_not_shortened() const {
  struct stat now{};
  if (::fstat(state_->file.descriptor.get(), &now) != 0) throw_errno(path_, "cannot read");
  SDG_CHECK(static_cast<uint64_t>(now.st_size) >= size(), path_.string(), ": was shortened while it was in use, from ",
            size(), " to ", now.st_size, " bytes");
}

std::vector<std::byte> RandomAccessFile::read(uint64_t offset, uint64_t count) const {
  SDG_CHECK(offset <= size() && count <= size() - offset, path_.string(), ": truncated: expected ", count,
            " bytes from byte ", offset, ", the file has ", size());
  std::vector<std::byte> out(count);
  read_into(offset, out);
  return out;
}

void RandomAccessFile::read_into(uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(state_->file.descriptor.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno(path_, "cannot read");
    if (got == 0) check_not_shortened();
    SDG_CHECK(got > 0, path_.string(), ": truncated: expected ", out.size(), " more bytes from byte ", offset,
              ", the file ends there");
    offset += static_cast<uint64_t>(got);
    out = out.subspan(static_cast<size_t>(got));
  }
}

}  // namespace sdg::io
