#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace sdg::io {

/// Folders, files and links between them, on disk or inside an archive.
struct FileTree {
  struct Entry {
    std::string name;
    int64_t folder = -1;  ///< which of `folders` it is or leads to, or -1: a file
    int64_t file = 0;     ///< the caller's number of a file
    bool link = false;    ///< a symbolic link to a folder
  };
  std::vector<std::vector<Entry>> folders;  ///< [0] is where listing begins
};

struct TreeListing {
  std::vector<std::pair<std::string, int64_t>> files;  ///< path below the first folder, with '/', and number
  std::vector<std::string> loops;                      ///< links that were not followed
};

/// Every file with its path, links to folders followed as `find -L` does, but never round in a circle: a link that can
/// lead back to its own folder is followed only where nothing else leads to its target, so that no file is listed again
/// and again. At most 40 links a path, as in Linux. Throws Error where links make more than ten million folders of a
/// few.
TreeListing list_files(const FileTree& tree);

}  // namespace sdg::io
