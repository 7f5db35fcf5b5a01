#pragma once
#include <filesystem>
#include <memory>
#include <string>

namespace sdg::io {

/// Keeps other processes from writing into a folder while it lives. The operating system holds the lock (flock on the
/// file `.sdg.lock`), also across the clients of a network file system, and takes it back when the process ends,
/// however it ends: there are no stale locks. The file says who holds it.
///
/// Makes the folder where it is missing. When the lock goes, its file goes, and so do the folders it made, where
/// nothing was put into them.
class FolderLock {
 public:
  /// `what` says to others what is done here ("sdg train"). Throws Error where another process holds the folder (named
  /// by host, process and start) or nothing can be written there. Where the file system has no locks: a warning.
  FolderLock(const std::filesystem::path& folder, const std::string& what);
  ~FolderLock();
  FolderLock(FolderLock&&) noexcept;
  FolderLock& operator=(FolderLock&&) noexcept;

  /// false: the file system has no locks, so nobody is kept out.
  bool held() const;

  static std::filesystem::path file_of(const std::filesystem::path& folder) { return folder / ".sdg.lock"; }

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// "host", at most 48 letters, digits, dots and hyphens: goes into names of files.
std::string host_name();

}  // namespace sdg::io
