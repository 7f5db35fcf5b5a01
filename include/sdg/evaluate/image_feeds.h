#pragma once
#include <string>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/progress.h"
#include "sdg/data/dataset.h"
#include "sdg/generate/generate.h"
#include "sdg/metrics/features.h"
#include "sdg/metrics/gaussian.h"
#include "sdg/vision/feature_extractor.h"

/// Images of every origin, piece by piece, for metrics::for_each_features. What a feed refers to must outlive it.
namespace sdg::evaluate {

struct MeasureOptions {
  int64_t limit = 0;  ///< take the first of a fixed random order, at most this many; 0 takes all
  int64_t size = 0;   ///< > 0: cut and resize to squares of this side first, as training does (ADM's centre crop)
};

/// A run's own data set, seen as the model sees it. Broken images are left out: a replacement would count twice.
metrics::ImageFeed dataset_feed(const data::Dataset& dataset, int64_t limit, const Progress& progress = {});

/// Images as they are, each at its own size and in its own colours. No image is replaced: one that cannot be decoded is
/// an Error that names it, and says how many others there are. With more than one worker the next piece is read while
/// one is looked at.
metrics::ImageFeed source_feed(const data::ImageSource& images, const MeasureOptions& options,
                               const Progress& progress = {});

/// `arr_0` of an .npz, uint8 [N, H, W, C] (C 1 or 3), a piece at a time. Throws Error for another .npz.
metrics::ImageFeed npz_feed(const std::string& path, const MeasureOptions& options, const Progress& progress = {});

/// The images of a path: an .npz, or a data set of any format that open_data knows. Throws UsageError for latents, and
/// Error for what holds no images or a single one, which has no covariance.
metrics::ImageFeed path_feed(const std::string& path, const MeasureOptions& options, const Progress& progress = {});

/// Images drawn from a trained network; those of `request`, all on each rank.
metrics::ImageFeed sample_feed(const checkpoint::Trained& trained, const generate::Request& request,
                               const at::Device& device, const Progress& progress = {});

/// The statistics of an extractor's features, with what is known of where they come from. Throws Error for fewer than
/// two images. Over ranks, whose feeds are alike, rank 0's; nothing on the others.
metrics::Gaussian gaussian_of(const metrics::ImageFeed& feed, vision::FeatureExtractor& extractor,
                              Reducer& reducer = Reducer::local());

}  // namespace sdg::evaluate
