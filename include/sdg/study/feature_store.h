#pragma once
#include <filesystem>
#include <functional>

#include "sdg/study/feature_study.h"

namespace sdg::study {

/// Writes a safetensors file of the features at one tap: `features` float32 [n, F], `indices` int64 [n] (of the images
/// in the data set; of what replaces a broken one), `labels` int64 [n] where the data have any, and metadata that say
/// what made them. Memory holds one piece; where it was stopped the same call goes on. `weights` is what `trained` was
/// loaded with. Over ranks, all of which call this, rank 0 writes. False where `stop` ended it early, on any rank.
bool store_features(const std::filesystem::path& path, const checkpoint::Trained& trained, checkpoint::Weights weights,
                    const data::OpenedData& opened, const data::Dataset& dataset, const std::vector<int64_t>& indices,
                    const Tap& tap, const at::Device& device, const Progress& progress = {},
                    const std::function<bool()>& stop = {}, Reducer& reducer = Reducer::local());

}  // namespace sdg::study
