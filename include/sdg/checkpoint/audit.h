#pragma once
#include <map>
#include <string>
#include <vector>

#include "sdg/checkpoint/checkpoint.h"

namespace sdg::checkpoint {

/// Whether labels could have reached a checkpoint, and how.
struct Audit {
  using Verdict = checkpoint::Verdict;
  Verdict label_free = Verdict::kUnknown;
  std::vector<std::string> reasons;  ///< one sentence each, the decisive ones first
};

/// From the chain that the checkpoint carries; of older ones from what they say of their making: condition source,
/// where stored or given pseudo-labels came from (as their file says), initial weights, autoencoder. A conversion of
/// somebody else's weights is unknown unless it knows labels.
Audit audit(const CheckpointInfo& info);

/// The chain that audit goes by.
Provenance provenance_of(const CheckpointInfo& info);

/// Of any file of weights, by its metadata; empty where nothing of ours is in them. Throws Error, beginning with
/// `where`, for malformed metadata.
Provenance provenance_of(const std::map<std::string, std::string>& metadata, const std::string& where);

/// What training under `config` is: its condition source; `from` and `free` say what given pseudo-labels were made
/// from ("" where their file does not say) and whether that was free of labels.
Stage condition_stage(const recipe::RunConfig& config, const std::string& from, Verdict free);

/// Images were seen through an autoencoder.
Stage latents_stage(const data::LatentCard& card);

/// Features were aligned with an outside network's (align.*): what those saw of labels reaches the weights.
Stage alignment_stage(const recipe::AlignOptions& align);

/// The weights began at random.
Stage random_start_stage();

}  // namespace sdg::checkpoint
