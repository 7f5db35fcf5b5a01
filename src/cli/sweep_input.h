#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "sdg/study/sweep.h"

/// What `sweep` takes from its command line and from the folder it goes on in.
namespace sdg::cli {

struct NamedRun {
  std::string label;
  std::filesystem::path checkpoint;
};

/// "label=dir,dir" or "dir" (labelled by its folder's name) each; a checkpoint file may stand for a folder. None: the
/// newest run. Throws UsageError.
std::vector<NamedRun> named_runs(const std::vector<std::string>& texts);

/// Points on disk, one a line, appended as they are measured: a sweep that was stopped goes on.
class Points {
 public:
  /// Reads what is there; a torn last line and points that failed are left out.
  explicit Points(std::filesystem::path path);
  /// The same settings of the same content, or null.
  const study::SweepRow* find(const study::SweepRow& point) const;
  void add(const study::SweepRow& row);

 private:
  std::filesystem::path path_;
  std::vector<study::SweepRow> rows_;
};

}  // namespace sdg::cli
