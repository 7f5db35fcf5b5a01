#include "sdg/data/listing.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <tuple>

#include "sdg/io/file_kind.h"

namespace sdg::data {
namespace {

constexpr std::array<std::string_view, 9> kExtensions = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                                         ".pgm", ".tif",  ".tiff", ".webp"};

struct Entry {
  std::string path;  // without "./" and, later, without the folder that holds everything
  int64_t position;

  std::string top() const {
    const auto slash = path.find('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
  }
  auto key() const {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? std::tuple(top(), std::string(), path)
                                      : std::tuple(top(), path.substr(0, slash), path.substr(slash + 1));
  }
};

bool hidden(std::string_view path) {
  return path.starts_with('.') || path.find("/.") != std::string_view::npos;
}

bool is_companion(const std::string& path) {
  return path.starts_with("._") || path.find("/._") != std::string::npos;
}

std::set<std::string> tops(const std::vector<Entry>& entries) {
  std::set<std::string> names;
  for (const auto& entry : entries) names.insert(entry.top());
  return names;
}

}  // namespace

bool has_image_extension(const std::string& path) {
  const auto suffix = io::lower_suffix(path);
  return std::find(kExtensions.begin(), kExtensions.end(), suffix) != kExtensions.end();
}

Listing list_images(const std::vector<std::string>& paths) {
  Listing listing;
  std::vector<Entry> entries;
  for (size_t i = 0; i < paths.size(); ++i) {
    std::string path = paths[i];
    while (path.starts_with("./")) path.erase(0, 2);
    const bool image = has_image_extension(path);
    if (hidden(path)) {
      listing.hidden += image && !is_companion(path);
    } else if (image) {
      entries.push_back({std::move(path), static_cast<int64_t>(i)});
    } else {
      ++listing.passed_over[io::lower_suffix(path)];
    }
  }
  for (auto names = tops(entries); names.size() == 1 && !names.begin()->empty(); names = tops(entries)) {
    for (auto& entry : entries) entry.path.erase(0, names.begin()->size() + 1);
  }

  auto names = tops(entries);
  names.erase(std::string());
  listing.class_names.assign(names.begin(), names.end());
  if (!names.empty()) {
    listing.beside_classes =
        static_cast<int64_t>(std::erase_if(entries, [](const Entry& entry) { return entry.top().empty(); }));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.key() < b.key(); });
  for (const auto& entry : entries) {
    listing.paths.push_back(paths[static_cast<size_t>(entry.position)]);
    listing.position.push_back(entry.position);
    if (names.empty()) continue;
    const auto found = std::lower_bound(listing.class_names.begin(), listing.class_names.end(), entry.top());
    listing.labels.push_back(found - listing.class_names.begin());
  }
  return listing;
}

}  // namespace sdg::data
