#include "sdg/checkpoint/recovery.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/error.h"
#include "sdg/io/random_access_file.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/verify.h"

namespace sdg::checkpoint {
namespace fs = std::filesystem;
namespace {

struct Candidate {
  fs::path path;
  int64_t step = -1;   // -1: neither its name nor its header says
  std::string reason;  // why its header cannot be believed
};

Candidate candidate(const fs::path& path) {
  Candidate out{path, RunFolder::numbered_step(path.filename().string()).value_or(-1), ""};
  if (!fs::is_regular_file(path)) {
    out.reason = cat(path.string(), ": expected a file, it is none");
    return out;
  }
  const io::RandomAccessFile can_be_opened(path);  // a missing permission is not damage
  try {
    const auto file = tensors::read_tensor_header(path);
    const auto step = file.metadata.find("step");
    // What it says counts, not its name: a copy of an older one is old.
    if (step != file.metadata.end()) out.step = std::stoll(step->second);
  } catch (const Error& error) {
    out.reason = error.what();
  } catch (const std::exception&) {
    out.reason = cat(path.string(), ": damaged: its step is not a number");
  }
  return out;
}

/// Every file is read once, whatever number of names it has.
class Checker {
 public:
  const std::string& reason(const fs::path& path) {
    for (const auto& [known, reason] : reasons_) {
      std::error_code ignored;
      if (fs::equivalent(known, path, ignored)) return reason;
    }
    return reasons_.emplace(path, find_reason(path)).first->second;
  }

 private:
  static std::string find_reason(const fs::path& path) {
    bool sealed = true;
    try {
      sealed = tensors::verify_tensors(path);
    } catch (const Error& error) {
      return error.what();
    }
    try {
      parse_info(tensors::read_tensor_header(path), path.string());
    } catch (const Error& error) {
      if (sealed) throw;  // as it was written, but by a program that knows more
      return error.what();
    }
    return "";
  }
  std::map<fs::path, std::string> reasons_;
};

std::vector<Candidate> candidates(const RunFolder& folder) {
  std::vector<Candidate> out;
  auto paths = folder.numbered();
  paths.insert(paths.begin(), folder.last());
  paths.push_back(folder.lowest_fd());
  paths.push_back(folder.earlier_best());
  for (const auto& path : paths)
    if (fs::exists(path)) out.push_back(candidate(path));
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.step > b.step; });
  return out;
}

int64_t last_logged_step(const RunFolder& folder) {
  if (!fs::is_regular_file(folder.metrics())) return 0;
  std::ifstream in(folder.metrics());
  int64_t step = 0;
  for (std::string line; std::getline(in, line);) {
    const auto row = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (row.is_object() && row.contains("step") && row["step"].is_number_integer())
      step = std::max(step, row["step"].get<int64_t>());
  }
  return step;
}

}  // namespace

std::optional<Recovery> find_recovery(const RunFolder& folder) {
  const auto all = candidates(folder);
  if (all.empty()) return std::nullopt;
  Checker checker;
  Recovery out;
  const auto is_sound = [&](const Candidate& each) {
    const auto& reason = each.reason.empty() ? checker.reason(each.path) : each.reason;
    if (!reason.empty()) {
      out.damaged.push_back({each.path, reason});
      out.reached = std::max(out.reached, each.step);
    }
    return reason.empty();
  };
  for (const auto& each : all) {
    const bool found = !out.checkpoint.empty();
    const bool has_role = each.path == folder.last() || each.path == folder.lowest_fd();
    // Numbered ones older than the one that is taken are left unread: nobody needs them now.
    if ((found && !has_role && each.reason.empty()) || !is_sound(each)) continue;
    const auto step = parse_info(tensors::read_tensor_header(each.path), each.path.string()).step;
    if (!found) {
      out.checkpoint = each.path;
      out.step = step;
    }
    if (each.path == folder.lowest_fd()) out.lowest_step = step;
  }
  if (out.checkpoint.empty()) {
    std::string list;
    for (const auto& [path, reason] : out.damaged)
      list +=
          cat("; ", reason.starts_with(path.string()) ? path.filename().string() + reason.substr(path.string().size())
                                                      : reason);
    throw Error(cat(folder.checkpoints().string(), ": none of its ", all.size(),
                    " checkpoints is sound; nothing was changed: put a copy of one there, or choose another folder",
                    list));
  }
  out.reached = std::max({out.reached, out.step, last_logged_step(folder)});
  return out;
}

std::vector<std::string> settle(const RunFolder& folder, const Recovery& recovery) {
  std::vector<std::string> notes;
  std::vector<fs::path> kept;
  try {
    for (const auto& [path, reason] : recovery.damaged) {
      std::error_code ignored;
      const auto same = std::find_if(kept.begin(), kept.end(),
                                     [&](const auto& other) { return fs::equivalent(other, path, ignored); });
      if (same != kept.end()) {
        fs::remove(path);
        notes.push_back(cat(path.string(), ": damaged: it was the same file as ", same->filename().string()));
        continue;
      }
      kept.emplace_back(path.string() + ".damaged");
      fs::rename(path, kept.back());
      notes.push_back(cat(reason, "; set aside as ", kept.back().filename().string()));
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(cat(error.path1().string(), ": cannot be set aside: ", error.code().message()));
  }
  std::error_code missing;
  if (!fs::equivalent(recovery.checkpoint, folder.last(), missing)) folder.make_last(recovery.checkpoint);
  if (!notes.empty() || recovery.checkpoint != folder.last()) {
    notes.push_back(cat("going on from ", recovery.checkpoint.string(), ", the newest sound checkpoint (step ",
                        recovery.step, ")",
                        recovery.reached > recovery.step
                            ? cat(": steps ", recovery.step + 1, " to ", recovery.reached, " are done again")
                            : std::string()));
  }
  return notes;
}

std::optional<fs::path> sound_numbered(const RunFolder& folder, int64_t step) {
  for (const auto& path : folder.numbered()) {
    if (RunFolder::numbered_step(path.filename().string()) != step) continue;
    if (Checker().reason(path).empty()) return path;
  }
  return std::nullopt;
}

std::string sound_neighbour(const fs::path& damaged) {
  try {
    const auto found = find_recovery(RunFolder::of_checkpoint(fs::absolute(damaged)));
    if (found)
      return cat("; the newest sound checkpoint beside it is ", found->checkpoint.string(), " (step ", found->step,
                 "): name it with --checkpoint, or let sdg train --resume mend the run");
  } catch (const std::exception&) {  // this only adds to another message
  }
  return "";
}

}  // namespace sdg::checkpoint
