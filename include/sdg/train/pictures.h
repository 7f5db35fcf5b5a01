#pragma once
#include "sdg/data/dataset.h"
#include "sdg/train/evaluate.h"

namespace sdg::train {

/// `count` samples of the network as one picture uint8 [C, h, w], always from the same seed so that pictures of a run
/// compare.
Tensor sample_sheet(const RunConfig& config, const Network& network, const Tensor& prior, const at::Device& device,
                    int64_t count = 64);

/// One row a cluster (the largest first, `rows` at most), with up to `columns` of the images assigned to it.
Tensor cluster_sheet(const ClusterReport& report, const data::Dataset& dataset, int64_t clusters, int64_t rows = 24,
                     int64_t columns = 16);

/// How often pixels of images of that side are repeated so that a person can see them.
int64_t picture_scale(int64_t size);

/// maps int64 [n, L] (L patches in rows, L a square) of the images `indices`: each image beside its map of clusters, one
/// colour a cluster laid over the darkened image.
Tensor overlay_sheet(const Tensor& maps, const std::vector<int64_t>& indices, const data::Dataset& dataset);

}  // namespace sdg::train
