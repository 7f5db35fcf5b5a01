#include "data/sources.h"
#include "data/turned.h"
#include "sdg/image/image.h"
#include "sdg/io/random_access_file.h"
#include "sdg/io/tar_index.h"

namespace sdg::data {
namespace {

class TarSource : public ImageSource {
 public:
  TarSource(const std::filesystem::path& path, std::vector<io::TarEntry> images)
      : file_(path), images_(std::move(images)) {
    std::vector<std::string> names;
    for (const auto& entry : images_) names.push_back(entry.name);
    common_ = common_folders(names);
  }
  int64_t size() const override { return static_cast<int64_t>(images_.size()); }
  Tensor read(int64_t index) const override {
    const auto& entry = images_.at(static_cast<size_t>(index));
    const auto bytes = file_.read(entry.offset, entry.size);
    Tensor image = image::decode_image(bytes, name(index));
    turned_.look(index, bytes, name(index));
    return image;
  }
  std::string short_name(int64_t index) const override {
    return images_.at(static_cast<size_t>(index)).name.substr(common_);
  }
  uint64_t stored_size(int64_t index) const override { return images_.at(static_cast<size_t>(index)).size; }
  std::optional<std::vector<std::byte>> stored(int64_t index) const override {
    const auto& entry = images_.at(static_cast<size_t>(index));
    return file_.read(entry.offset, entry.size);
  }
  std::string name(int64_t index) const override {
    return file_.path().string() + ":" + images_.at(static_cast<size_t>(index)).name;
  }

 private:
  io::RandomAccessFile file_;
  std::vector<io::TarEntry> images_;
  size_t common_ = 0;
  mutable TurnedImages turned_;
};

}  // namespace

OpenedData open_tar(const std::filesystem::path& path) {
  io::TarIndex index = io::index_tar(path);
  auto& entries = index.files;
  std::vector<std::string> names;
  for (const auto& entry : entries) names.push_back(entry.name);
  const std::string what = "tar " + path.string();
  const Listing listing = list_or_throw(names, index.left_out, what);
  std::vector<io::TarEntry> images;
  for (const int64_t position : listing.position) images.push_back(std::move(entries[static_cast<size_t>(position)]));
  OpenedData data;
  data.labels = make_labels(listing);
  data.images = std::make_shared<TarSource>(path, std::move(images));
  data.description = describe(what, data);
  return data;
}

}  // namespace sdg::data
