#pragma once
#include <string>

#include "sdg/data/options.h"
#include "sdg/metrics/feature_extractor.h"
#include "sdg/metrics/gaussian.h"

/// What `eval-fid` and `sweep` compare with.
namespace sdg::cli {

/// Feature statistics of `path`: an .npz with mu and sigma as it is, an .npz of images (arr_0, uint8 NHWC), or a data
/// set as `options` say (size, channels); an empty path stands for the data set of the options. Of a data set only
/// `limit` images, 0 for all. Shows its progress under `title`.
metrics::Gaussian statistics_of(const std::string& path, data::DataOptions options,
                                metrics::FeatureExtractor& extractor, int64_t limit, const std::string& title);

}  // namespace sdg::cli
