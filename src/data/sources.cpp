#include "data/sources.h"

#include <algorithm>
#include <set>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/text.h"
#include "sdg/io/file_kind.h"

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

namespace {

const char* plural(int64_t count) {
  return count == 1 ? "" : "s";
}

// "3 .txt, 1 .gif, 2 without a suffix"
std::string by_suffix(const std::map<std::string, int64_t>& counts) {
  std::vector<std::string> parts;
  for (const auto& [suffix, count] : counts)
    parts.push_back(cat(count, " ", suffix.empty() ? "without a suffix" : suffix));
  return join_first(parts);
}

// Class folders of a data set that is split into parts lie one level deeper.
bool are_splits(const std::vector<std::string>& names) {
  static const std::set<std::string> kSplits{"train", "training", "val", "valid", "validation", "test", "testing"};
  return !names.empty() && std::all_of(names.begin(), names.end(),
                                       [](const std::string& name) { return kSplits.contains(io::lower_case(name)); });
}

void report(const Listing& listing, const std::vector<std::string>& left_out, const std::string& what) {
  if (listing.beside_classes > 0) {
    log::warning(cat("data: ", what, ": ", listing.beside_classes,
                     " images lie beside the class folders and are left out, as they have no class"));
  }
  if (!left_out.empty()) {
    const auto count = static_cast<int64_t>(left_out.size());
    log::warning(cat("data: ", what, ": ", count, count == 1 ? " entry is" : " entries are",
                     " left out: ", join_first(left_out, 3)));
  }
  int64_t others = 0;
  for (const auto& [suffix, count] : listing.passed_over) others += count;
  if (others > 0) {
    log::warning(cat("data: ", what, ": ", others, " file", plural(others),
                     " passed over, as the suffix is not one of an image: ", by_suffix(listing.passed_over)));
  }
  if (listing.hidden > 0) {
    log::warning(cat("data: ", what, ": ", listing.hidden, " image", plural(listing.hidden),
                     " passed over, as the name, or a folder's on the way, begins with a dot"));
  }
  if (are_splits(listing.class_names)) {
    log::warning(cat("data: ", what, ": the only classes are ", join(listing.class_names),
                     ", which look like the parts of a data set: was the folder of one of them meant?"));
  }
}

}  // namespace

Listing list_or_throw(const std::vector<std::string>& paths, const std::vector<std::string>& left_out,
                      const std::string& what) {
  Listing listing = list_images(paths);
  SDG_CHECK(!listing.paths.empty(), "data: ", what,
            " holds no images: expected files like .jpg, .png, .bmp or .ppm, found ", paths.size(),
            paths.size() == 1 ? " file, " : " files, ",
            listing.passed_over.empty() ? "none of them one" : by_suffix(listing.passed_over),
            left_out.empty() ? "" : cat("; left out: ", join_first(left_out, 3)));
  report(listing, left_out, what);
  return listing;
}

size_t common_folders(const std::vector<std::string>& names) {
  const auto up = [](std::string folder) {
    const auto slash = folder.find_last_of('/');
    folder.resize(slash == std::string::npos ? 0 : slash + 1);
    return folder;
  };
  std::string common = names.empty() ? std::string() : up(names.front());
  for (const auto& name : names) {
    while (!name.starts_with(common)) common = up(common.substr(0, common.size() - 1));
  }
  return common.size();
}

std::string describe(const std::string& what, const OpenedData& data) {
  const int64_t images = data.size();
  std::string text = cat(what, ": ", images, images == 1 ? " image, " : " images, ");
  if (!data.labels) return text + "no classes";
  const size_t classes = data.labels->class_names().size();
  return cat(text, classes, classes == 1 ? " class" : " classes");
}

}  // namespace sdg::data
