#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "sdg/network/stored_conditions.h"

namespace sdg::conditions {

/// Conditions that are more than an index, from a safetensors file in the data set's order: `vectors` float [N, D] or
/// `patch_vectors` float [N, L, D] or `ids` int [N], and `maps`, uint8 [N, S, S] of classes (metadata `map_channels`
/// may say how many: then 255 is none of them), uint8 [N, M, S, S] of 0 and 1 or float [N, M, S, S], with any of these
/// or alone. Null for files that hold only indices (pseudo_labels.h). Throws Error, naming file and tensor, for another
/// number of images, maps that are not of side `size`, and values that are not finite.
std::shared_ptr<const network::StoredConditions> read_stored(const std::filesystem::path& path, int64_t images,
                                                             int64_t size);

/// Digest of such conditions, by which a run knows those it was trained on again.
std::string stored_key(const network::StoredConditions& stored);

}  // namespace sdg::conditions
