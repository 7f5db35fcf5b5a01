#include "sdg/io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <random>
#include <span>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

#include "io/posix_impl.h"
#include "sdg/core/error.h"
#include "sdg/io/folder_lock.h"

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
  pos_type seekoff(off_type offset, std::ios_base::seekdir from, std::ios_base::openmode) override {
    drain();
    const int whence = from == std::ios_base::beg ? SEEK_SET : from == std::ios_base::cur ? SEEK_CUR : SEEK_END;
    const off_t at = ::lseek(descriptor_, static_cast<off_t>(offset), whence);
    if (at < 0) throw_errno(path_, "cannot write out of order");
    return {at};
  }
  pos_type seekpos(pos_type at, std::ios_base::openmode which) override {
    return seekoff(off_type(at), std::ios_base::beg, which);
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

constexpr std::string_view kMark = ".tmp.";

// Unique among all processes of all hosts that write into one folder. What it holds is none of a run's randomness.
fs::path beside(const fs::path& target) {
  constexpr size_t kLongestName = 255;
  std::random_device device;
  std::array<char, 32> random{};
  std::snprintf(random.data(), random.size(), "%08x%08x", device(), device());
  const std::string end = cat(kMark, host_name(), ".", ::getpid(), ".", random.data());
  const auto name = target.filename().string().substr(0, kLongestName - 1 - end.size());
  return target.parent_path() / cat(".", name, end);
}

struct Beside {
  fs::path path;
  UnfinishedFile unfinished;
  Descriptor descriptor;

  explicit Beside(const fs::path& target)
      : path(beside(target)),
        unfinished(path),
        descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)) {
    if (descriptor.get() < 0) throw_errno(target, "cannot write");
  }
};

}  // namespace

std::string target_of_temporary(const std::string& name) {
  const auto mark = name.find(kMark, 1);
  if (name.empty() || name.front() != '.' || mark == std::string::npos || mark + kMark.size() == name.size()) return "";
  return name.substr(1, mark - 1);
}

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

  Beside made(target);
  auto& descriptor = made.descriptor;
  try {
    struct stat old{};
    if (kind == fs::file_type::regular && ::stat(target.c_str(), &old) == 0) {
      ::fchmod(descriptor.get(), old.st_mode & 07777);  // best effort: the new file is as readable as the old
    }
    stream_to(descriptor.get(), path, write);
    if (::fsync(descriptor.get()) != 0) throw_errno(path, "cannot write");
    if (::close(descriptor.release()) != 0) throw_errno(path, "cannot write");
    if (::rename(made.path.c_str(), target.c_str()) != 0) throw_errno(path, "cannot write");
  } catch (...) {
    ::unlink(made.path.c_str());
    throw;
  }
  sync_folder(target.has_parent_path() ? target.parent_path() : fs::path("."));
}

void copy_atomically(const fs::path& source, const fs::path& target) {
  const OpenedFile file(source);
  write_atomically(target, [&](std::ostream& out) {
    std::vector<std::byte> piece(1 << 20);
    for (uint64_t at = 0; at < file.size;) {
      const auto part = std::span(piece).first(std::min<uint64_t>(piece.size(), file.size - at));
      read_exactly(file, at, part, source.string());
      // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
      out.write(reinterpret_cast<const char*>(part.data()), static_cast<std::streamsize>(part.size()));
      at += part.size();
    }
  });
}

void link_atomically(const fs::path& source, const fs::path& target) {
  const auto made = beside(target);
  const UnfinishedFile unfinished(made);
  if (::link(source.c_str(), made.c_str()) != 0)
    return copy_atomically(source, target);  // no links in this file system
  const bool renamed = ::rename(made.c_str(), target.c_str()) == 0;
  const int code = errno;
  ::unlink(made.c_str());  // still there if it failed, or if both names were one file already
  errno = code;
  if (!renamed) throw_errno(target, "cannot write");
  sync_folder(target.has_parent_path() ? target.parent_path() : fs::path("."));
}

}  // namespace sdg::io
