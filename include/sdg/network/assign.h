#pragma once
#include <optional>
#include <vector>

#include "sdg/core/progress.h"
#include "sdg/core/reducer.h"
#include "sdg/data/dataset.h"
#include "sdg/network/network.h"

namespace sdg::network {

/// Images of `indices` as float32 [-1, 1], or latents (their means) in model units, on the device.
Tensor load_images(const data::Dataset& dataset, at::IntArrayRef indices, const at::Device& device);

/// Cluster of each image (source online), int64 [indices.size()] or [indices.size(), L]: by the head's scores, or where
/// clusters rest, those of the training images, which `dataset` must be then. Over ranks, all of which call
/// this and get all, each looks at some of the same chunks of images, so that not a bit differs.
Tensor assign_clusters(const recipe::RunConfig& config, const Network& network, const data::Dataset& dataset,
                       const std::vector<int64_t>& indices, const at::Device& device, const Progress& progress = {},
                       Reducer& reducer = Reducer::local());

/// The first min(limit, size) entries of a fixed random order of the data set, sorted: the images that are scored.
std::vector<int64_t> evaluation_subset(int64_t size, int64_t limit, uint64_t seed);
/// The same of a data set that may hold broken images: what replaces one is scored for what it is, and each image once,
/// so there may be fewer.
std::vector<int64_t> evaluation_subset(const data::Dataset& dataset, int64_t limit, uint64_t seed);

}  // namespace sdg::network
