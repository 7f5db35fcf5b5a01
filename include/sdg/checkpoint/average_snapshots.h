#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sdg/checkpoint/run_folder.h"
#include "sdg/recipe/average_options.h"
#include "sdg/tensors/tensor_file.h"

/// What average.track leaves in a run's folder, and an average of any width made of it afterwards.
namespace sdg::checkpoint {

/// Is a snapshot to be written after `step` steps?
bool snapshot_due(const recipe::AverageOptions& options, int64_t step);

/// Writes averages/step-NNNNNNNN.safetensors: `averages` (learn/power_averages.h, of_network()) as average.stored says,
/// their widths in the metadata. Where a number is beyond the range of float16 the snapshot is float32, with a warning.
/// Then removes those that average.keep leaves no room for.
void save_snapshot(const RunFolder& folder, const std::map<std::string, Tensor>& averages, int64_t step,
                   const recipe::AverageOptions& options);

/// Snapshots of later steps belong to a past that a run does not go on from.
void remove_snapshots_beyond(const RunFolder& folder, int64_t step);

/// An average that was made of others.
struct MadeAverage {
  tensors::TensorFile file;  ///< a checkpoint to draw from: `ema` weights, conditions, all that is told; no state of
                             ///< training
  int64_t step = 0;          ///< that it is an average up to
  int64_t snapshots = 0;     ///< that went in, besides the averages in the checkpoint itself
  double error = 0;          ///< of the profile, average/mixture.h
};

/// Largest error of a profile that still counts as the one that was asked for.
inline constexpr double kLargestProfileError = 0.1;

/// The average of that relative width (average/profile.h) as it was after `step` steps (0: at the step of
/// `checkpoint`), of the snapshots in its run's folder up to there and, where they are not later, the two averages in
/// it. The clustering head and what conditions are drawn from stay the checkpoint's own, so clusters keep their
/// meaning. Throws UsageError where the run kept no averages, where it has too few snapshots, and where no mixture
/// comes near enough to that width, naming the widths that can be had.
MadeAverage make_average(const std::filesystem::path& checkpoint, double width, int64_t step = 0);

/// Steps of the snapshots in a run's folder before the checkpoint's, rising.
std::vector<int64_t> snapshot_steps(const std::filesystem::path& checkpoint);

}  // namespace sdg::checkpoint
