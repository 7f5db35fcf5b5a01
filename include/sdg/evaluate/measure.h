#pragma once
#include <string>

#include "sdg/evaluate/image_feeds.h"

/// Images that somebody names to be measured, as opposed to a run's own data: they are seen as they are, each at its
/// own size and in its own colours, and nothing but the extractor's own front end changes them.
namespace sdg::evaluate {

/// Does the path name stored statistics: an .npz with `mu` or `sigma`, or with `features`?
bool holds_statistics(const std::string& path);

/// Feature statistics of what a path holds: stored statistics as they are; else images, of an .npz with `arr_0` (uint8
/// [N, H, W, C], C 1 or 3), or of a data set of any format that open_data knows. No image is replaced: one that cannot
/// be decoded is an Error that names it. Throws UsageError where options are given that stored statistics cannot
/// follow, and for latents. Over ranks as gaussian_of.
metrics::Gaussian measure(const std::string& path, vision::FeatureExtractor& extractor,
                          const MeasureOptions& options = {}, const Progress& progress = {},
                          Reducer& reducer = Reducer::local());

/// Stored statistics, of several networks' (EDM2's `fid`, `fd_dinov2`) those of this one. Throws as check_comparable
/// does.
metrics::Gaussian read_statistics(const std::string& path, const vision::FeatureExtractor& extractor);

/// Can a distance in the extractor's features be taken to these statistics? Throws Error, beginning with `where`, where
/// they are known to be another network's, other weights' or of another width; warns of what they do not say.
void check_comparable(const metrics::Gaussian& statistics, const std::string& where,
                      const vision::FeatureExtractor& extractor);

}  // namespace sdg::evaluate
