#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sdg/data/dataset.h"
#include "sdg/train/checkpoint.h"
#include "sdg/train/given_conditions.h"
#include "sdg/train/latent_images.h"
#include "sdg/train/recovery.h"
#include "sdg/train/run_folder.h"

namespace sdg::train {

/// The training data, and the index of each image where the condition is one.
struct Supply {
  data::OpenedData opened;
  std::unique_ptr<data::Dataset> dataset;
  data::Fingerprint fingerprint;
  GivenConditions given;
  std::vector<std::string> notes;  // what the comparison with before had to say: for the log, once there is one
  ToImages to_images;              // of latents
  bool pictures = true;            // can what is drawn be shown
};

/// What the checkpoint that was found says of the run that goes on; nothing for a new one. Throws UsageError where it
/// is a run of another configuration: before anything is made, so that a run that is refused leaves no trace.
std::optional<CheckpointInfo> read_before(const RunConfig& config, const RunFolder& folder,
                                          const std::optional<Recovery>& found);

/// Opens the data, compares them with what `before` (null for a new run) knows, and gets the given indices; what takes
/// time is told to `on_event` (may be empty). Throws UsageError where data and configuration do not go together, Error
/// where the data are no longer those of before.
Supply open_supply(const RunConfig& config, const RunFolder& folder, const at::Device& device,
                   const std::function<void(const std::string&)>& on_event, const CheckpointInfo* before);

}  // namespace sdg::train
