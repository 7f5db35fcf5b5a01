#pragma once
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sdg/checkpoint/provenance.h"
#include "sdg/data/fingerprint.h"
#include "sdg/data/latents.h"
#include "sdg/data/order.h"
#include "sdg/network/network.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::checkpoint {

/// What a checkpoint says besides its tensors; stored as strings in the file's metadata.
struct CheckpointInfo {
  recipe::RunConfig config;
  int64_t step = 0;
  int64_t samples = 0;                   ///< images trained on, repeated ones counted again: where the data goes on
  std::vector<std::string> changes;      ///< of options while the run went on: "step 120: train.lr 0.002 -> 0.001"
  int64_t classes = 0;                   ///< condition indices of source label and kmeans
  std::vector<std::string> class_names;  ///< source label: of the data set
  std::string data;                      ///< description of the training data
  std::optional<sdg::data::LatentCard> latents;                ///< what was trained on, where it was latents
  bool labels_read = false;                                    ///< could this run read labels for training
  std::string pseudo_labels_from, pseudo_labels_free;          ///< source kmeans and file: what they were made
                                                               ///< from, and its own audit ("yes", "no", …)
  std::string initial_weights;                                 ///< what the weights began as; empty for random ones
  bool initial_class_conditional = false;                      ///< was that a network that knows labels
  bool converted = false;                                      ///< made from somebody else's weights
  sdg::data::Fingerprint fingerprint;                          ///< of the training data; unknown in older checkpoints
  sdg::data::OrderKind order = sdg::data::OrderKind::kSorted;  ///< of the data in each epoch; older ones say nothing
  std::string conditions;  ///< digest of the indices that were given (GivenConditions::key)
  Provenance provenance;   ///< every stage that made the weights; empty in older checkpoints
};

/// Adds the metadata to `file`: format, sdg and LibTorch version, config (as YAML), step, provenance.
void describe(tensors::TensorFile& file, const CheckpointInfo& info);

/// Reads the metadata back. `where` names the file in messages; throws Error for a file that is no checkpoint of ours.
CheckpointInfo parse_info(const tensors::TensorFile& file, const std::string& where);

/// The two sets of weights in a checkpoint: the average, and those that training moves.
enum class Weights { kEma, kModel };
constexpr auto names_of(Weights) {
  return std::array{"ema", "model"};
}

/// A trained network ready to draw from, made from a checkpoint alone: no data set is needed.
struct Trained {
  CheckpointInfo info;
  network::Network network;  ///< in eval mode
  Tensor prior;  ///< what conditions are drawn from, see Learner::prior; undefined where there is none (yet)
  std::string path;
};

Trained load_trained(const std::filesystem::path& checkpoint, const at::Device& device,
                     Weights weights = Weights::kEma);

}  // namespace sdg::checkpoint
