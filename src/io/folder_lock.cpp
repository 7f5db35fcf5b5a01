#include "sdg/io/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <ctime>
#include <vector>

#include "io/posix_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"

namespace sdg::io {
namespace fs = std::filesystem;
namespace {

std::string local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::localtime_r(&now, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts)};
}

// The folders that are missing on the way to `folder`, outermost first, after they were made.
std::vector<fs::path> make_folders(const fs::path& folder) {
  std::vector<fs::path> made;
  std::error_code failed;
  for (fs::path at = folder; !at.empty() && !fs::exists(at, failed); at = at.parent_path()) {
    if (!at.filename().empty()) made.insert(made.begin(), at);
  }
  fs::create_directories(folder, failed);
  SDG_CHECK(!failed, folder.string(), ": cannot make the folder: ", failed.message());
  return made;
}

std::string holder_in(int descriptor) {
  std::array<char, 256> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
  std::string line(text.data(), size > 0 ? static_cast<size_t>(size) : 0);
  line = line.substr(0, line.find('\n'));
  return line.empty() ? "another process" : line;
}

bool is_the_file(int descriptor, const fs::path& path) {
  struct stat opened{}, named{};
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

}  // namespace

struct FolderLock::State {
  fs::path file;
  std::vector<fs::path> made;
  int descriptor = -1;
  bool held = false;

  State(const fs::path& folder, const std::string& what) : file(file_of(folder)), made(make_folders(folder)) {
    try {
      acquire(folder);
      describe(what);
    } catch (...) {
      release();
      throw;
    }
  }
  ~State() { release(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void acquire(const fs::path& folder) {
    for (;;) {
      descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
      if (descriptor < 0) throw_errno(folder, "cannot write there");
      if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) {
          drop();
          continue;
        }
        SDG_CHECK(errno != EWOULDBLOCK && errno != EACCES, folder.string(), ": in use by ", holder_in(descriptor),
                  "; two writers would overwrite each other's files: wait for it, or choose another folder");
        const std::string reason = std::generic_category().message(errno);
        log::warning(cat(folder.string(), ": its file system has no locks (", reason,
                         "): see to it that no other process writes there"));
        return;
      }
      held = true;
      if (is_the_file(descriptor, file)) return;
      drop();  // its holder removed it between our opening and our locking
    }
  }

  void describe(const std::string& what) const {
    const std::string line =
        cat("process ", ::getpid(), " on ", host_name(), " (", what, ", since ", local_time(), ")\n");
    // Who holds it is a courtesy: a full disk must not keep a run from finishing.
    if (::ftruncate(descriptor, 0) == 0) [[maybe_unused]]
      const auto written = ::pwrite(descriptor, line.data(), line.size(), 0);
  }

  void drop() {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
    held = false;
  }

  void release() {
    // While it is locked: whoever opened it meanwhile sees that it is gone and makes a new one.
    if (held && is_the_file(descriptor, file)) ::unlink(file.c_str());
    drop();
    for (auto folder = made.rbegin(); folder != made.rend(); ++folder) ::rmdir(folder->c_str());
  }
};

FolderLock::FolderLock(const fs::path& folder, const std::string& what)
    : state_(std::make_unique<State>(folder, what)) {}
FolderLock::~FolderLock() = default;
FolderLock::FolderLock(FolderLock&&) noexcept = default;
FolderLock& FolderLock::operator=(FolderLock&&) noexcept = default;

bool FolderLock::held() const {
  return state_->held;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "host";
  std::string out = std::string(name.data()).substr(0, 48);
  for (auto& c : out) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.') c = '-';
  }
  return out.empty() ? "host" : out;
}

}  // namespace sdg::io
