#pragma once
#include <string>
#include <vector>

#include "sdg/train/checkpoint.h"

namespace sdg::train {

/// Whether labels could have reached a checkpoint, and how.
struct Audit {
  enum class Verdict { kYes, kNo, kUnknown };
  Verdict label_free = Verdict::kUnknown;
  std::vector<std::string> reasons;  ///< one sentence each, the decisive ones first
};

/// From what the checkpoint says of its making: its condition source, where stored or given pseudo-labels came from (as
/// their file says), its initial weights, its autoencoder. A conversion of somebody else's weights is unknown unless it
/// knows labels.
Audit audit(const CheckpointInfo& info);

/// "yes", "no", "unknown"
std::string to_string(Audit::Verdict verdict);

}  // namespace sdg::train
