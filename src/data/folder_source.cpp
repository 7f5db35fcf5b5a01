#include <unordered_map>

#include "data/sources.h"
#include "data/turned.h"
#include "sdg/core/error.h"
#include "sdg/image/image.h"
#include "sdg/image/image_folder.h"
#include "sdg/io/file_tree.h"
#include "sdg/io/random_access_file.h"

namespace sdg::data {
namespace {

namespace fs = std::filesystem;

class FolderSource : public ImageSource {
 public:
  FolderSource(std::string root, std::vector<std::string> paths)
      : root_(std::move(root)), paths_(std::move(paths)), common_(common_folders(paths_)) {}
  int64_t size() const override { return static_cast<int64_t>(paths_.size()); }
  Tensor read(int64_t index) const override {
    const io::RandomAccessFile file(name(index));
    const auto bytes = file.read(0, file.size());
    Tensor image = image::decode_image(bytes, name(index));
    turned_.look(index, bytes, name(index));
    return image;
  }
  std::string name(int64_t index) const override { return root_ + paths_.at(static_cast<size_t>(index)); }
  std::string short_name(int64_t index) const override { return paths_.at(static_cast<size_t>(index)).substr(common_); }
  uint64_t stored_size(int64_t index) const override {
    std::error_code gone;
    const auto size = fs::file_size(name(index), gone);
    return gone ? 0 : size;
  }
  std::optional<std::vector<std::byte>> stored(int64_t index) const override {
    const io::RandomAccessFile file(name(index));
    return file.read(0, file.size());
  }

 private:
  std::string root_;  // ends with '/'
  std::vector<std::string> paths_;
  size_t common_;
  mutable TurnedImages turned_;
};

/// What lies below a folder. Links are followed, as subsets are often folders of links.
class Scan {
 public:
  explicit Scan(const std::string& root) {
    try {
      folder_of(fs::canonical(root).string());
      while (scanned_ < names_.size()) scan(scanned_++);
    } catch (const fs::filesystem_error& error) {
      const std::string where = error.path1().empty() ? root : error.path1().string();
      throw Error(cat("data: cannot list the folder ", where, ": ", error.code().message()));
    }
  }
  io::FileTree tree;
  std::vector<std::string> left_out;

 private:
  int64_t folder_of(const std::string& canonical) {
    const auto [at, is_new] = numbers_.try_emplace(canonical, static_cast<int64_t>(names_.size()));
    if (is_new) {
      names_.push_back(canonical);
      tree.folders.emplace_back();
    }
    return at->second;
  }

  static bool can_list(const fs::path& folder) {
    std::error_code error;
    const fs::directory_iterator ignored(folder, error);
    return !error;
  }

  // A link that leads nowhere is listed too: it is a broken image, not an absent one.
  void scan(size_t folder) {
    const std::string path = names_[folder];
    std::vector<io::FileTree::Entry> entries;
    for (const auto& entry : fs::directory_iterator(path)) {
      std::string name = entry.path().filename().string();
      std::error_code gone;
      const bool link = entry.is_symlink(gone);
      if (entry.is_directory(gone)) {
        if (name.starts_with('.') && !can_list(entry.path())) continue;  // nothing is taken of it, only counted
        const auto target = link ? fs::canonical(entry.path()).string() : (fs::path(path) / name).string();
        entries.push_back({std::move(name), folder_of(target), 0, link});
      } else if (entry.is_regular_file(gone) || (link && !entry.exists(gone))) {
        entries.push_back({std::move(name), -1, 0, link});
      } else {
        left_out.push_back(cat(entry.path().string(), " (a pipe or device)"));
      }
    }
    tree.folders[folder] = std::move(entries);
  }

  std::unordered_map<std::string, int64_t> numbers_;  // by canonical path
  std::vector<std::string> names_;
  size_t scanned_ = 0;
};

}  // namespace

OpenedData open_folder(const fs::path& path) {
  SDG_CHECK(fs::is_directory(path), "data: expected a folder, got the file ", path.string());
  std::string root = path.string();
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  const std::string what = "folder " + root;
  image::check_complete(root);
  if (!root.ends_with('/')) root += '/';
  Scan scan(root);
  const auto found = io::list_files(scan.tree);
  for (const auto& loop : found.loops) scan.left_out.push_back(loop + " (a link that leads back to itself)");
  std::vector<std::string> paths;
  for (const auto& [name, number] : found.files) paths.push_back(name);
  Listing listing = list_or_throw(paths, scan.left_out, what);
  OpenedData data;
  data.labels = make_labels(listing);
  data.images = std::make_shared<FolderSource>(root, std::move(listing.paths));
  data.description = describe(what, data);
  return data;
}

OpenedData open_image(const fs::path& path) {
  SDG_CHECK(fs::is_regular_file(path), "data: expected an image file, got ", path.string());
  OpenedData data;
  data.images = std::make_shared<FolderSource>((path.parent_path() / "").string(),
                                               std::vector<std::string>{path.filename().string()});
  data.description = describe("image " + path.string(), data);
  return data;
}

}  // namespace sdg::data
