#include "sdg/train/run_folder.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/io/atomic_file.h"

namespace sdg::train {
namespace fs = std::filesystem;
namespace {

std::string numbered(int64_t step) {
  const std::string digits = std::to_string(step);
  return "step-" + std::string(digits.size() < 8 ? 8 - digits.size() : 0, '0') + digits + ".safetensors";
}

// A link made under another name and renamed replaces `target` in one move.
void replace_by_link(const fs::path& source, const fs::path& target) {
  const fs::path beside = target.string() + ".link";
  std::error_code failed;
  fs::remove(beside, failed);
  fs::create_hard_link(source, beside, failed);
  if (failed) fs::copy_file(source, beside);
  fs::rename(beside, target);
}

void prune(const fs::path& folder, int64_t keep) {
  std::vector<fs::path> numbered_files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().rfind("step-", 0) == 0 && entry.path().extension() == ".safetensors")
      numbered_files.push_back(entry.path());
  }
  std::sort(numbered_files.begin(), numbered_files.end());
  const auto surplus = static_cast<int64_t>(numbered_files.size()) - keep;
  for (int64_t i = 0; i < surplus; ++i) {
    std::error_code ignored;  // a file that cannot be removed costs space, not the run
    fs::remove(numbered_files[static_cast<size_t>(i)], ignored);
  }
}

}  // namespace

RunFolder::RunFolder(fs::path root) : root_(std::move(root)) {}

void RunFolder::create() const {
  for (const auto& folder : {root_, tensorboard(), pictures(), checkpoints()}) {
    std::error_code failed;
    fs::create_directories(folder, failed);
    SDG_CHECK(!failed, folder.string(), ": cannot make the folder: ", failed.message());
  }
}

void RunFolder::save(const io::TensorFile& file, int64_t step, bool is_best, int64_t keep) const {
  const auto path = checkpoints() / numbered(step);
  io::write_tensors(path, file);
  try {
    replace_by_link(path, last());
    if (is_best) replace_by_link(path, best());
    prune(checkpoints(), keep);
  } catch (const fs::filesystem_error& error) {
    throw Error(cat(checkpoints().string(), ": ", error.code().message()));
  }
}

fs::path find_checkpoint(const std::string& run, const std::string& checkpoint) {
  if (!checkpoint.empty()) {
    SDG_CHECK_USAGE(fs::is_regular_file(checkpoint), checkpoint, ": no such checkpoint file");
    return checkpoint;
  }
  if (!run.empty()) {
    const auto last = RunFolder(run).last();
    SDG_CHECK_USAGE(fs::is_regular_file(last), run, ": no checkpoint there; expected ", last.string());
    return last;
  }
  fs::path newest;
  if (fs::is_directory("runs")) {
    for (const auto& entry : fs::directory_iterator("runs")) {
      const auto last = RunFolder(entry.path()).last();
      if (fs::is_regular_file(last) && (newest.empty() || fs::last_write_time(last) > fs::last_write_time(newest)))
        newest = last;
    }
  }
  SDG_CHECK_USAGE(!newest.empty(),
                  "no run found under runs/; train one (sdg train) or give --run DIR or --checkpoint FILE");
  return newest;
}

}  // namespace sdg::train
