#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sdg/data/dataset.h"
#include "sdg/train/latent_images.h"
#include "sdg/train/offline_kmeans.h"
#include "sdg/train/run_config.h"
#include "sdg/train/run_folder.h"

namespace sdg::train {

/// The training data, and the index of each image where the condition is one.
struct Supply {
  data::OpenedData opened;
  std::unique_ptr<data::Dataset> dataset;
  Tensor ids;
  int64_t classes = 0;
  std::vector<std::string> class_names;
  PseudoLabelOrigin origin;  // source kmeans and file
  ToImages to_images;        // of latents
  bool pictures = true;      // can what is drawn be shown
};

/// Opens the data; source kmeans clusters the features of condition.run first, unless the folder holds the indices, and
/// says so through `on_event` (may be empty). Throws UsageError where data and configuration do not go together.
Supply open_supply(const RunConfig& config, const RunFolder& folder, const at::Device& device,
                   const std::function<void(const std::string&)>& on_event);

}  // namespace sdg::train
