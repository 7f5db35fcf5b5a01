#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace sdg::study {

/// How a run draws best, as sdg tune found it: RUN/sampling.json.
struct Tuned {
  int64_t step = 0;                            ///< of the checkpoint it was found for
  std::map<std::string, std::string> options;  ///< of sample.*, by name, as text
  std::string average;                         ///< weights to draw with, relative to the run's folder; empty: its own
  std::string guide;                           ///< network of sample.guide network, the same
  std::string found;                           ///< one line: how it compares with the run's own options
};

std::filesystem::path tuned_path(const std::filesystem::path& run);
void write_tuned(const std::filesystem::path& run, const Tuned& tuned);
/// Nothing where there is none. Throws Error, naming the file, for what is none of ours, and for paths that lead out of
/// the run's folder.
std::optional<Tuned> read_tuned(const std::filesystem::path& run);

}  // namespace sdg::study
