#pragma once
#include "sdg/data/dataset.h"
#include "sdg/evaluate/evaluate.h"
#include "sdg/latents/latent_images.h"

namespace sdg::evaluate {

/// `count` samples of the network as one picture uint8 [C, h, w], always from the same seed so that pictures of a run
/// compare.
Tensor sample_sheet(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                    const at::Device& device, int64_t count = 64, const latents::ToImages& to_images = {});

/// One row a cluster (the largest first, `rows` at most), with up to `columns` of the images assigned to it.
Tensor cluster_sheet(const ClusterReport& report, const data::Dataset& dataset, int64_t clusters, int64_t rows = 24,
                     int64_t columns = 16, const latents::ToImages& to_images = {});

/// How often pixels of images of that side are repeated so that a person can see them.
int64_t picture_scale(int64_t size);

/// maps int64 [n, L] (L patches in rows, L a square) of the images `indices`: each image beside its map of clusters,
/// one colour a cluster laid over the darkened image.
Tensor overlay_sheet(const Tensor& maps, const std::vector<int64_t>& indices, const data::Dataset& dataset,
                     const latents::ToImages& to_images = {});

}  // namespace sdg::evaluate
