#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace sdg::io {
/// One logged step: names and values in the order they are to be written. Non-finite values are written as null.
using Row = std::vector<std::pair<std::string, double>>;

/// Appends one JSON object a line, flushed at once, so that a crash loses nothing.
class JsonLines {
 public:
  /// Opens for appending; lines whose "step" is beyond `keep_up_to_step` are cut off first (they are logged again after
  /// a resume) and added to `path`.bak; a torn last line is cut off too. -1 keeps everything.
  explicit JsonLines(std::filesystem::path path, int64_t keep_up_to_step = -1);
  void write(int64_t step, const Row& row);
  /// Is there a line of that step with that name?
  bool holds(int64_t step, const std::string& name) const;

 private:
  std::filesystem::path path_;
};
}  // namespace sdg::io
