#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "sdg/network/stored_conditions.h"
#include "sdg/recipe/run_config.h"

namespace sdg::network {

/// On what a configuration is to run.
struct Machine {
  int64_t gpus = 0;   ///< ranks of a GPU each; 0: one rank on the device of the configuration
  std::string card;   ///< of cards(); empty: unknown
  double tflops = 0;  ///< what one rank reaches in training, 1e12 FLOP/s; 0: kReached of the card's peak
};

/// Share of a card's peak that training is taken to reach: the best that public code of such transformers shows is 0.37
/// (U-ViT-H/2 on an A100, from its images a second); many stay at half of that.
inline constexpr double kReached = 0.35;

/// Peaks of a card's dense products, 1e12 FLOP/s, by its maker's data sheet.
struct Card {
  const char* name;
  double float32, tf32, bf16;
};
/// Throws UsageError, listing those known, for another name.
const Card& card_of(const std::string& name);

/// What conditions from a file are, where they are known: they decide the sizes of some layers.
struct FileConditions {
  int64_t classes = 0;  ///< 0: unknown
  std::shared_ptr<const StoredConditions> stored;
};

/// What a configuration will take, known before anything is allocated. Bytes are those of one rank.
struct Cost {
  int64_t parameters = 0;        ///< of the network and the head
  int64_t macs = 0;              ///< multiply-adds of one forward pass of one image
  int64_t state_bytes = 0;       ///< weights, average, gradient and AdamW's two moments
  int64_t unsharded_bytes = 0;   ///< the same without train.shard_state
  bool average_sharded = false;  ///< does train.shard_state divide the average too
  int64_t shard_bytes = 0;       ///< gradients of shards under way, and with cluster.backbone of the clustering loss
  int64_t cast_bytes = 0;        ///< bf16 copies of weights
  int64_t activation_bytes = 0;  ///< kept for the backward pass of the images that are under way at once; an estimate
  int64_t kept_bytes = 0;        ///< kept for each image (recipe::keeps_clusters), in the memory of the host
  int64_t tracked_bytes = 0;     ///< the two averages of average.track
  int64_t snapshots = 0;         ///< of these that are on disk at the end of the run
  int64_t snapshot_spacing = 0;  ///< steps between them
  int64_t snapshot_bytes = 0;    ///< of all of them, on disk
  int64_t at_once = 0;           ///< images of a rank under way at once
  int64_t ranks = 1;
  double step_flop = 0;  ///< of all ranks: products and attention of networks and head, backward too; mean of the run
  double days = 0;       ///< of the whole run; 0 where the speed is unknown
  double tflops = 0;     ///< of a rank, which `days` assumes
  std::string card;      ///< from which that was taken, and how; empty where it was given
  int64_t images = 0;    ///< of the data set; 0 where it is not at hand
  double steps_per_epoch = 0;
  std::string note;  ///< why the data could not be counted
  int64_t bytes() const { return state_bytes + tracked_bytes + shard_bytes + cast_bytes + activation_bytes; }
};

/// Builds the networks on the meta device, and opens the data if it is there.
Cost estimate_cost(const recipe::RunConfig& config, const Machine& machine = {}, const FileConditions& given = {});

/// Lines of "# name  value", as --dry-run prints them.
std::string to_text(const Cost& cost);

}  // namespace sdg::network
