#include "data/sources.h"

#include "sdg/core/error.h"
#include "sdg/core/log.h"

namespace sdg::data {
namespace {

class FixedLabels : public LabelSource {
 public:
  FixedLabels(Tensor labels, std::vector<std::string> class_names)
      : labels_(std::move(labels)), class_names_(std::move(class_names)) {}
  Tensor labels() const override { return labels_; }
  std::vector<std::string> class_names() const override { return class_names_; }

 private:
  Tensor labels_;
  std::vector<std::string> class_names_;
};

}  // namespace

std::shared_ptr<LabelSource> make_labels(Tensor labels, std::vector<std::string> class_names) {
  return std::make_shared<FixedLabels>(std::move(labels), std::move(class_names));
}

std::shared_ptr<LabelSource> make_labels(const Listing& listing) {
  if (listing.class_names.empty()) return nullptr;
  return make_labels(at::tensor(listing.labels, at::kLong), listing.class_names);
}

Listing list_or_throw(const std::vector<std::string>& paths, const std::string& what) {
  Listing listing = list_images(paths);
  SDG_CHECK(!listing.paths.empty(), "data: ", what,
            " holds no images: expected files like .jpg, .png, .bmp or .ppm, found ", paths.size(),
            paths.size() == 1 ? " file, none of them one" : " files, none of them one");
  if (listing.beside_classes > 0) {
    log::warning(cat("data: ", what, ": ", listing.beside_classes,
                     " images lie beside the class folders and are left out, as they have no class"));
  }
  return listing;
}

std::string describe(const std::string& what, const OpenedData& data) {
  const int64_t images = data.size();
  std::string text = cat(what, ": ", images, images == 1 ? " image, " : " images, ");
  if (!data.labels) return text + "no classes";
  const size_t classes = data.labels->class_names().size();
  return cat(text, classes, classes == 1 ? " class" : " classes");
}

}  // namespace sdg::data
