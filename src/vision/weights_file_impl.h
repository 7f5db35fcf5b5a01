#pragma once
#include <filesystem>
#include <string>

namespace sdg::vision {
/// Where an extractor's weights come from.
struct WeightsSource {
  std::string extractor;  ///< "inception"
  std::string file;       ///< name in the default places
  std::string url;  ///< what to download, under its own name or as `file`; empty if the file ships with the program
};

/// `given` if it exists; else, if `given` is empty, the first of the default places that has the file. Throws an Error
/// that tells how to get the file.
std::filesystem::path find_weights(const WeightsSource& source, const std::string& given,
                                   const std::filesystem::path& config_dir);
}  // namespace sdg::vision
