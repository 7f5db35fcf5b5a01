#pragma once
#include <cstddef>
#include <mutex>
#include <set>
#include <span>
#include <string>

namespace sdg::data {

/// Counts the images that a camera marked as to be shown turned. Pixels are taken as stored, as Pillow's Image.open
/// takes them; that a data set lies on its side must not go unnoticed. The first is logged by name, how many there were
/// when the data set is closed. Thread-safe.
class TurnedImages {
 public:
  TurnedImages() = default;
  ~TurnedImages();
  TurnedImages(const TurnedImages&) = delete;
  TurnedImages& operator=(const TurnedImages&) = delete;
  /// The file's bytes; each index counts once.
  void look(int64_t index, std::span<const std::byte> bytes, const std::string& name);

 private:
  std::mutex mutex_;
  std::set<int64_t> indices_;
};

}  // namespace sdg::data
