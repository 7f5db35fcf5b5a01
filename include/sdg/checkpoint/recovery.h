#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sdg/checkpoint/run_folder.h"

namespace sdg::checkpoint {

/// A checkpoint that cannot be read or is not what was written.
struct DamagedFile {
  std::filesystem::path path;
  std::string reason;  ///< begins with the path
};

/// What a run that was interrupted goes on from.
struct Recovery {
  std::filesystem::path checkpoint;  ///< the newest sound one
  int64_t step = 0;
  std::vector<DamagedFile> damaged;  ///< newer ones, `last` and `lowest_fd`, where they are not sound
  int64_t lowest_step = -1;          ///< of the sound `lowest_fd`; -1: there is none
  int64_t reached = 0;               ///< the last step that a damaged checkpoint or metrics.jsonl knows of
};

/// Looks through `last`, `lowest_fd` and the numbered checkpoints, newest first, until one is sound: whole, equal to
/// its checksum (where it has one), and a checkpoint of ours. Changes nothing. nullopt: there is no checkpoint of any
/// name. Throws Error that names them all where none is sound, and where one cannot be opened.
std::optional<Recovery> find_recovery(const RunFolder& folder);

/// Sets damaged files aside, as NAME.damaged, and makes `last` the checkpoint that was found. Returns one line each for
/// whoever started the run: what is damaged, what is taken, which steps are done again. None where all was as it should
/// be.
std::vector<std::string> settle(const RunFolder& folder, const Recovery& recovery);

/// The numbered checkpoint of that step, where it is there and sound.
std::optional<std::filesystem::path> sound_numbered(const RunFolder& folder, int64_t step);

/// "; the newest sound checkpoint beside it is …" for the message about a damaged one; empty where there is none.
std::string sound_neighbour(const std::filesystem::path& damaged);

}  // namespace sdg::checkpoint
