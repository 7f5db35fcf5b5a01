#include "sdg/checkpoint/run_folder.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/io/atomic_file.h"

namespace sdg::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kFewestKept = 2;

// Those of steps beyond `step` belong to a history that somebody put there: not ours to remove.
void prune(const RunFolder& folder, int64_t step, int64_t keep) {
  auto files = folder.numbered();
  std::erase_if(files, [&](const auto& path) { return *RunFolder::numbered_step(path.filename().string()) > step; });
  const auto surplus = static_cast<int64_t>(files.size()) - std::max(keep, kFewestKept);
  for (int64_t i = 0; i < surplus; ++i) {
    std::error_code ignored;  // a file that cannot be removed costs space, not the run
    fs::remove(files[static_cast<size_t>(i)], ignored);
  }
}

bool is_picture(const std::string& name) {
  return (name.starts_with("samples-") || name.starts_with("clusters-")) && name.ends_with(".png");
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

bool RunFolder::has_checkpoint() const {
  return fs::exists(last()) || fs::exists(lowest_fd()) || fs::exists(earlier_best()) || !numbered().empty();
}

std::string RunFolder::numbered_name(int64_t step) {
  const std::string digits = std::to_string(step);
  return "step-" + std::string(digits.size() < 8 ? 8 - digits.size() : 0, '0') + digits + ".safetensors";
}

std::optional<int64_t> RunFolder::numbered_step(const std::string& name) {
  constexpr std::string_view kBegin = "step-", kEnd = ".safetensors";
  if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) return std::nullopt;
  int64_t step = 0;
  const char* first = name.data() + kBegin.size();
  const char* last = name.data() + name.size() - kEnd.size();
  const auto [end, failed] = std::from_chars(first, last, step);
  if (failed != std::errc() || end != last || name != numbered_name(step)) return std::nullopt;
  return step;
}

std::vector<fs::path> RunFolder::numbered() const {
  std::vector<fs::path> out;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(checkpoints(), missing))
    if (numbered_step(entry.path().filename().string())) out.push_back(entry.path());
  const auto step = [](const fs::path& path) { return *numbered_step(path.filename().string()); };
  std::sort(out.begin(), out.end(), [&](const auto& a, const auto& b) { return step(a) < step(b); });
  return out;
}

void RunFolder::save(const tensors::TensorFile& file, int64_t step, bool lowest, int64_t keep) const {
  const auto path = checkpoints() / numbered_name(step);
  tensors::write_tensors(path, file);
  make_last(path);
  if (lowest) make_lowest_fd(path);
  prune(*this, step, keep);
}

void RunFolder::make_last(const fs::path& checkpoint) const {
  std::error_code ignored;
  const auto others = numbered();
  const bool can_fall_back = std::any_of(
      others.begin(), others.end(), [&](const auto& other) { return !fs::equivalent(other, checkpoint, ignored); });
  if (!can_fall_back) {
    try {
      return io::copy_atomically(checkpoint, last());
    } catch (const Error& error) {
      log::warning(cat(error.what(), "; it becomes another name of ", checkpoint.filename().string(),
                       ": there is no second copy of this checkpoint"));
    }
  }
  io::link_atomically(checkpoint, last());
}

void RunFolder::make_lowest_fd(const fs::path& checkpoint) const {
  io::link_atomically(checkpoint, lowest_fd());
}

void RunFolder::remove_temporaries() const {
  const auto is_ours = [&](const fs::path& path) {
    const auto name = io::target_of_temporary(path.filename().string());
    const auto folder = path.parent_path();
    if (folder == checkpoints()) {
      // What comes last is that of earlier versions.
      return name == last().filename() || name == lowest_fd().filename() || numbered_step(name) ||
             name == earlier_best().filename() || path.filename() == "last.safetensors.link" ||
             path.filename() == "best.safetensors.link";
    }
    if (folder == pictures()) return is_picture(name);
    if (folder == averages()) return numbered_step(name).has_value();
    return name == config().filename() || name == metrics().filename() || name == pseudo_labels().filename();
  };
  for (const auto& folder : {root(), checkpoints(), pictures(), averages()}) {
    std::error_code ignored;
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder, ignored))
      if (is_ours(entry.path())) found.push_back(entry.path());
    for (const auto& path : found) fs::remove(path, ignored);
  }
}

namespace {

// What stands for a run whose `last` is gone.
fs::path newest_checkpoint(const RunFolder& run) {
  if (fs::is_regular_file(run.last())) return run.last();
  const auto numbered = run.numbered();
  return numbered.empty() ? fs::path() : numbered.back();
}

void warn_without_last(const RunFolder& run, const fs::path& taken) {
  if (taken == run.last()) return;
  log::warning(cat(run.last().string(), " is missing; taking ", taken.filename().string()));
}

}  // namespace

fs::path find_checkpoint(const std::string& run, const std::string& checkpoint) {
  if (!checkpoint.empty()) {
    SDG_CHECK_USAGE(fs::is_regular_file(checkpoint), checkpoint, ": no such checkpoint file");
    return checkpoint;
  }
  if (!run.empty()) {
    const RunFolder folder(run);
    const auto found = newest_checkpoint(folder);
    SDG_CHECK_USAGE(!found.empty(), run, ": no checkpoint there; expected ", folder.last().string());
    warn_without_last(folder, found);
    return found;
  }
  fs::path newest;
  if (fs::is_directory("runs")) {
    for (const auto& entry : fs::directory_iterator("runs")) {
      const auto found = newest_checkpoint(RunFolder(entry.path()));
      if (!found.empty() && (newest.empty() || fs::last_write_time(found) > fs::last_write_time(newest)))
        newest = found;
    }
  }
  SDG_CHECK_USAGE(!newest.empty(),
                  "no run found under runs/; train one (sdg train) or give --run DIR or --checkpoint FILE");
  warn_without_last(RunFolder::of_checkpoint(newest), newest);
  return newest;
}

}  // namespace sdg::checkpoint
