#include "sdg/config/find.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>

#include "sdg/config/suggest.h"
#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "text_impl.h"

namespace fs = std::filesystem;

namespace sdg::config {
namespace {

constexpr const char* kSuffix = ".yaml";

std::vector<fs::path> shipped_folders() {
  std::vector<fs::path> folders;
  const auto add = [&](const fs::path& folder) {
    std::error_code failure;
    if (!fs::is_directory(folder, failure)) return;
    fs::path full = fs::weakly_canonical(folder, failure);
    if (failure) return;
    if (std::find(folders.begin(), folders.end(), full) == folders.end()) folders.push_back(std::move(full));
  };
  const char* asked = std::getenv("SDG_CONFIGS");
  if (asked && *asked) add(asked);
  std::error_code failure;
  const fs::path program = fs::read_symlink("/proc/self/exe", failure);
  if (!failure) add(program.parent_path().parent_path() / "share" / "sdg" / "configs");
  add(SDG_SHIPPED_CONFIGS);
  add(SDG_INSTALLED_CONFIGS);
  return folders;
}

// A pipe will do for a config, a folder will not.
bool is_readable_file(const fs::path& path) {
  std::error_code failure;
  return fs::exists(path, failure) && !fs::is_directory(path, failure);
}

std::string places(const std::vector<fs::path>& folders) {
  std::vector<std::string> names(folders.size());
  std::transform(folders.begin(), folders.end(), names.begin(), [](const auto& folder) { return folder.string(); });
  return joined(names);
}

fs::path working_folder() {
  std::error_code failure;
  return fs::current_path(failure);
}

}  // namespace

fs::path find_config(const std::string& name) {
  SDG_CHECK_USAGE(!name.empty(), "config: expected a name, got nothing");
  const bool is_absolute = fs::path(name).is_absolute();
  std::vector<fs::path> folders{
      fs::path()};  // the working folder; kept empty so that messages show the name as it was given
  if (!is_absolute) {
    for (auto& folder : shipped_folders()) folders.push_back(std::move(folder));
  }
  for (const auto& folder : folders) {
    for (const auto& file : {name, name + kSuffix}) {
      if (is_readable_file(folder / file)) return folder / file;
    }
  }
  if (is_absolute) throw UsageError(cat("config ", in_quotes(name), ": not found, nor with ", kSuffix));
  folders.front() = working_folder();
  const auto names = shipped_configs();
  std::string message = cat("config ", in_quotes(name), ": not found in ", places(folders));
  if (!names.empty()) message += cat("; shipped configs: ", joined(names));
  const bool has_suffix = fs::path(name).extension() == kSuffix;
  const std::string near =
      closest(has_suffix ? name.substr(0, name.size() - std::string(kSuffix).size()) : name, names);
  throw UsageError(near.empty() ? message : cat(message, "; did you mean ", near, "?"));
}

namespace {

/// Where a name was found as it stands, or why not.
struct Search {
  std::optional<fs::path> found;
  std::string places;  // "" for an absolute path
};

Search look_for(const std::string& name, const fs::path& config_dir) {
  std::error_code failure;
  fs::path path(name);
  if (path.is_absolute()) return {fs::exists(path, failure) ? std::optional(path) : std::nullopt, ""};
  std::vector<fs::path> folders;
  if (!config_dir.empty()) folders.push_back(config_dir);
  folders.emplace_back();
  for (auto& folder : shipped_folders()) {
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.push_back(std::move(folder));
  }
  for (auto& folder : folders) {
    if (fs::exists(folder / path, failure)) return {folder / path, ""};
    if (folder.empty()) folder = working_folder();
  }
  return {std::nullopt, places(folders)};
}

}  // namespace

fs::path find_beside(const std::string& name, const fs::path& config_dir) {
  SDG_CHECK(!name.empty(), "file: expected a name, got nothing");
  Search search = look_for(name, config_dir);
  std::string meant;
  if (const std::string full = search.found ? name : expand_path(name); full != name) {
    search = look_for(full, config_dir);
    meant = cat(", which is ", in_quotes(full));
  }
  SDG_CHECK(search.found, "file ", in_quotes(name), meant, ": not found",
            search.places.empty() ? "" : " in " + search.places);
  return *search.found;
}

std::vector<fs::path> find_parts_beside(const std::string& name, const fs::path& config_dir) {
  try {
    return {find_beside(name, config_dir)};
  } catch (const Error&) {
    if (name.find(',') == std::string::npos) throw;
  }
  std::vector<fs::path> found;
  std::istringstream parts(name);
  for (std::string part; std::getline(parts, part, ',');) {
    SDG_CHECK_USAGE(!part.empty(), "file ", in_quotes(name), ": expected a name before and after each comma");
    found.push_back(find_beside(part, config_dir));
  }
  return found;
}

std::vector<std::string> shipped_configs() {
  std::set<std::string> names;
  for (const auto& folder : shipped_folders()) {
    std::error_code failure;
    for (fs::recursive_directory_iterator entry(folder, failure), end; entry != end && !failure;
         entry.increment(failure)) {
      if (entry->path().extension() != kSuffix || !is_readable_file(entry->path())) continue;
      names.insert(entry->path().lexically_relative(folder).replace_extension().generic_string());
    }
  }
  return {names.begin(), names.end()};
}

ConfigSummary config_summary(const fs::path& file) {
  std::ifstream in(file);
  SDG_CHECK(in, file.string(), ": cannot be read");
  const std::string sign = "# ", mark = sign + "Measured: ";
  ConfigSummary out;
  for (std::string line; std::getline(in, line) && line.starts_with('#');) {
    if (line.starts_with(mark)) {
      out.measured = line.substr(mark.size());
    } else if (out.what.empty() && line.starts_with(sign)) {
      const auto end = line.find(". ");
      out.what = line.substr(sign.size(), end == std::string::npos ? end : end + 1 - sign.size());
    }
  }
  return out;
}

}  // namespace sdg::config
