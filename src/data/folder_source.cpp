#include "data/sources.h"
#include "sdg/core/error.h"
#include "sdg/io/image.h"
#include "sdg/io/random_access_file.h"

namespace sdg::data {
namespace {

namespace fs = std::filesystem;

class FolderSource : public ImageSource {
 public:
  FolderSource(std::string root, std::vector<std::string> paths) : root_(std::move(root)), paths_(std::move(paths)) {}
  int64_t size() const override { return static_cast<int64_t>(paths_.size()); }
  Tensor read(int64_t index) const override { return io::read_image(name(index)); }
  std::string name(int64_t index) const override { return root_ + paths_.at(static_cast<size_t>(index)); }
  std::string short_name(int64_t index) const override { return paths_.at(static_cast<size_t>(index)); }
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
};

// Links are followed, as subsets are often folders of links. One that leads nowhere is listed too: it is a broken
// image, not an absent one.
std::vector<std::string> files_below(const std::string& root) {
  std::vector<std::string> files;
  try {
    for (const auto& entry : fs::recursive_directory_iterator(root, fs::directory_options::follow_directory_symlink)) {
      std::error_code gone;
      const bool dangling = entry.is_symlink(gone) && !entry.exists(gone);
      if (dangling || entry.is_regular_file(gone)) files.push_back(entry.path().string().substr(root.size()));
    }
  } catch (const fs::filesystem_error& error) {
    const std::string where = error.path1().empty() ? root : error.path1().string();
    throw Error(cat("data: cannot list the folder ", where, ": ", error.code().message()));
  }
  return files;
}

}  // namespace

OpenedData open_folder(const fs::path& path) {
  SDG_CHECK(fs::is_directory(path), "data: expected a folder, got the file ", path.string());
  std::string root = path.string();
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  const std::string what = "folder " + root;
  if (!root.ends_with('/')) root += '/';
  Listing listing = list_or_throw(files_below(root), what);
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
