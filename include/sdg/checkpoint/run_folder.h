#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sdg/tensors/tensor_file.h"

namespace sdg::checkpoint {

/// Where a run keeps what:
///   config.yaml            the resolved configuration
///   metrics.jsonl          one line a logged step
///   log.txt                what was said on the terminal, with times
///   tensorboard/           the same figures and pictures for TensorBoard
///   pictures/              sample grids and cluster sheets by step
///   checkpoints/           last.safetensors, step-NNNNNNNN.safetensors, with eval.every lowest_fd.safetensors;
///                          NAME.damaged: see recovery.h
///   prior.safetensors      of sdg fit-prior: what draws vectors that no image is told
///   averages/              with average.track step-NNNNNNNN.safetensors, see average_snapshots.h
class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path root);
  /// The run that a checkpoint lies in.
  static RunFolder of_checkpoint(const std::filesystem::path& checkpoint) {
    return RunFolder(checkpoint.parent_path().parent_path());
  }
  /// Makes the folders. Throws Error where that is impossible.
  void create() const;

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path config() const { return root_ / "config.yaml"; }
  std::filesystem::path metrics() const { return root_ / "metrics.jsonl"; }
  /// Indices that source kmeans made for every image when the run began.
  std::filesystem::path pseudo_labels() const { return root_ / "pseudo_labels.safetensors"; }
  std::filesystem::path log() const { return root_ / "log.txt"; }
  std::filesystem::path tensorboard() const { return root_ / "tensorboard"; }
  std::filesystem::path pictures() const { return root_ / "pictures"; }
  std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }
  /// Snapshots of the averages that average.track keeps.
  std::filesystem::path averages() const { return root_ / "averages"; }
  std::filesystem::path last() const { return checkpoints() / "last.safetensors"; }
  /// The one with the lowest distance of those that were measured while training (eval.every).
  std::filesystem::path lowest_fd() const { return checkpoints() / "lowest_fd.safetensors"; }
  /// What earlier versions kept: the one with the lowest smoothed training loss. It is read where nothing newer is
  /// sound, and left as it is.
  std::filesystem::path earlier_best() const { return checkpoints() / "best.safetensors"; }

  /// A checkpoint of any of these kinds: a run without `last` is none that has not begun.
  bool has_checkpoint() const;
  /// The step in a name of exactly the form step-NNNNNNNN.safetensors; files of other names are not ours.
  static std::optional<int64_t> numbered_step(const std::string& name);
  static std::string numbered_name(int64_t step);
  /// The numbered checkpoints, oldest first.
  std::vector<std::filesystem::path> numbered() const;

  /// Writes the numbered checkpoint of `step`, makes `last` (and where it is the lowest `lowest_fd`) the same file, see
  /// below, then removes older numbered ones beyond `keep`, but never the one before: one damaged file must not be the
  /// whole run. Each name is replaced atomically.
  void save(const tensors::TensorFile& file, int64_t step, bool lowest, int64_t keep) const;
  /// `last` becomes the same file as `checkpoint` by hard link, which costs nothing; a copy of it where no other
  /// numbered checkpoint is there to fall back on, or where the file system has no links.
  void make_last(const std::filesystem::path& checkpoint) const;
  void make_lowest_fd(const std::filesystem::path& checkpoint) const;

  /// Removes the hidden files that killed saves of this run left. Only for who holds the folder's lock.
  void remove_temporaries() const;

 private:
  std::filesystem::path root_;
};

/// The checkpoint that a command means: `checkpoint` itself, or `run`'s last one, or the last one of the newest run
/// under `runs/`. Throws UsageError that says where it looked.
std::filesystem::path find_checkpoint(const std::string& run, const std::string& checkpoint);

}  // namespace sdg::checkpoint
