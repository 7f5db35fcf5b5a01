#pragma once
#include <filesystem>
#include <string>
#include <vector>

/// Where configs and the files they name are found.
///
/// The shipped folders are, in this order and as far as they exist: $SDG_CONFIGS, ../share/sdg/configs beside the
/// program, `configs` of the source tree, and the folder that `cmake --install` filled.
namespace sdg::config {

/// The file of that config: as named (from the working folder), with ".yaml" appended, then both in the shipped
/// folders. Throws UsageError that says where it looked, which configs there are and which was probably meant.
std::filesystem::path find_config(const std::string& name);

/// A file or folder that a config names: an absolute path as it is; else beside the config (`config_dir`, may be
/// empty), in the working folder, then in the shipped folders. What is not there as written is looked for once more
/// after expand_path. Throws Error that lists these places.
std::filesystem::path find_beside(const std::string& name, const std::filesystem::path& config_dir);

/// The same of a name that may be a list: where nothing is found under "a,b" itself, what is found under "a" and "b".
std::vector<std::filesystem::path> find_parts_beside(const std::string& name, const std::filesystem::path& config_dir);

/// The path with "~" and "~user" at its front, "$NAME" and "${NAME}" replaced as a shell would, where there is no file
/// of that very name: shells replace nothing in `--set data.path=~/x`, and nobody does in a YAML file. Throws
/// UsageError for a variable or user that does not exist.
std::string expand_path(const std::string& path);

/// The names of the shipped configs, without ".yaml", sorted.
std::vector<std::string> shipped_configs();

/// What a config's file says of itself, in the comment that it begins with.
struct ConfigSummary {
  std::string what;      ///< first sentence of the first line
  std::string measured;  ///< the line that begins with "Measured: ", without these words; empty where nothing was
};
/// Throws Error where the file cannot be read.
ConfigSummary config_summary(const std::filesystem::path& file);

}  // namespace sdg::config
