#pragma once
#include <memory>

#include "sdg/data/dataset.h"
#include "sdg/learn/alignment_objective.h"

namespace sdg::run {

/// The network that align.extractor names; null where that is none or self. Throws UsageError for data that hold no
/// images, Error where its weights are not there, saying where they come from.
std::shared_ptr<const learn::AlignmentTarget> alignment_target(const recipe::RunConfig& config,
                                                               const data::OpenedData& opened,
                                                               const at::Device& device);

}  // namespace sdg::run
