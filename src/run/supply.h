#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/conditions/given_conditions.h"
#include "sdg/data/dataset.h"
#include "sdg/latents/latent_images.h"

namespace sdg::run {

/// The training data, and the index of each image where the condition is one.
struct Supply {
  data::OpenedData opened;
  std::unique_ptr<data::Dataset> dataset;
  data::Fingerprint fingerprint;
  conditions::GivenConditions given;
  std::vector<std::string> notes;  // what the comparison with before had to say: for the log, once there is one
  latents::ToImages to_images;     // of latents
  bool pictures = true;            // can what is drawn be shown
};

/// What the checkpoint says of the run that goes on. Throws UsageError where it is a run of another configuration:
/// before anything is made, so that a run that is refused leaves no trace.
checkpoint::CheckpointInfo read_before(const recipe::RunConfig& config, const checkpoint::RunFolder& folder,
                                       const std::filesystem::path& checkpoint);

/// Opens the data, compares them with what `before` (null for a new run) knows, and gets the given indices; what takes
/// time is told to `on_event` (may be empty). Throws UsageError where data and configuration do not go together, Error
/// where the data are no longer those of before.
Supply open_supply(const recipe::RunConfig& config, const checkpoint::RunFolder& folder, const at::Device& device,
                   const std::function<void(const std::string&)>& on_event, const checkpoint::CheckpointInfo* before,
                   Reducer& reducer);

}  // namespace sdg::run
