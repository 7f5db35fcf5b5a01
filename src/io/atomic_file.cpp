#include "sdg/io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <streambuf>
#include <string>
#include <utility>

#include "io/posix_impl.h"
#include "sdg/core/error.h"

namespace sdg::io {
namespace fs = std::filesystem;
namespace {

// Throws from the first write that fails, so that a full disk stops the writer at once instead of at the end.
class DescriptorBuffer : public std::streambuf {
 public:
  DescriptorBuffer(int descriptor, const fs::path& path) : descriptor_(descriptor), path_(path) {
    setp(buffer_.data(), buffer_.data() + buffer_.size());
  }

 protected:
  int_type overflow(int_type c) override {
    drain();
    if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
    *pptr() = traits_type::to_char_type(c);
    pbump(1);
    return c;
  }
  std::streamsize xsputn(const char* data, std::streamsize count) override {
    if (count < epptr() - pptr()) {
      traits_type::copy(pptr(), data, static_cast<size_t>(count));
      pbump(static_cast<int>(count));
    } else {
      drain();
      put(data, static_cast<size_t>(count));
    }
    return count;
  }
  int sync() override {
    drain();
    return 0;
  }

 private:
  void drain() {
    const auto count = static_cast<size_t>(pptr() - pbase());
    setp(buffer_.data(), buffer_.data() + buffer_.size());
    put(buffer_.data(), count);
  }
  void put(const char* data, size_t count) {
    while (count > 0) {
      const ssize_t written = ::write(descriptor_, data, count);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw_errno(path_, "cannot write");
      data += written;
      count -= static_cast<size_t>(written);
    }
  }

  int descriptor_;
  const fs::path& path_;
  std::array<char, 1 << 16> buffer_;
};

void stream_to(int descriptor, const fs::path& path, const std::function<void(std::ostream&)>& write) {
  DescriptorBuffer buffer(descriptor, path);
  std::ostream out(&buffer);
  out.exceptions(std::ios::badbit);  // lets the buffer's own exception through
  write(out);
  SDG_CHECK(out.good(), path.string(), ": cannot write: the writer left its stream in a failed state");
  out.flush();
}

void sync_folder(const fs::path& folder) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Some file systems cannot sync a folder and say EINVAL; the rename has happened all the same.
  if (descriptor.get() >= 0 && ::fsync(descriptor.get()) != 0 && errno != EINVAL && errno != ENOTSUP) {
    throw_errno(folder, "cannot sync the folder");
  }
}

}  // namespace

void write_atomically(const fs::path& path, const std::function<void(std::ostream&)>& write) {
  std::error_code ignored;
  // A link keeps pointing where it points; a device or pipe is written to, never replaced.
  const fs::path target = fs::is_symlink(path, ignored) ? fs::weakly_canonical(path) : path;
  const auto kind = fs::status(target, ignored).type();
  if (kind == fs::file_type::character || kind == fs::file_type::fifo) {
    const Descriptor descriptor(::open(target.c_str(), O_WRONLY | O_CLOEXEC));
    if (descriptor.get() < 0) throw_errno(path, "cannot write");
    stream_to(descriptor.get(), path, write);
    return;
  }

  const fs::path beside =
      target.parent_path() / ("." + target.filename().string() + ".tmp." + std::to_string(::getpid()));
  const UnfinishedFile unfinished(beside);
  Descriptor descriptor(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (descriptor.get() < 0) throw_errno(path, "cannot write");
  try {
    struct stat old{};
    if (kind == fs::file_type::regular && ::stat(target.c_str(), &old) == 0) {
      ::fchmod(descriptor.get(), old.st_mode & 07777);  // best effort: the new file is as readable as the old
    }
    stream_to(descriptor.get(), path, write);
    if (::fsync(descriptor.get()) != 0) throw_errno(path, "cannot write");
    if (::close(descriptor.release()) != 0) throw_errno(path, "cannot write");
    if (::rename(beside.c_str(), target.c_str()) != 0) throw_errno(path, "cannot write");
  } catch (...) {
    ::unlink(beside.c_str());
    throw;
  }
  sync_folder(target.has_parent_path() ? target.parent_path() : fs::path("."));
}

}  // namespace sdg::io
