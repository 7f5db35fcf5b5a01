#pragma once
#include <functional>
#include <string>
#include <vector>

#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

/// What every metric of images in a feature space shares: images go through a network once, and whatever is to be
/// worked out of the features receives them. A metric knows neither networks nor where images come from.
namespace sdg::metrics {

/// uint8 [N, C, H, W] (C 1 or 3, any size) -> [N, F], any float type and device.
using FeatureFn = std::function<Tensor(const Tensor& images)>;

/// Receives features batch by batch, in the order of the images.
class FeatureSink {
 public:
  virtual ~FeatureSink() = default;
  virtual void add(const Tensor& features) = 0;  ///< [n, F]
};

/// Hands `width` columns of what it receives, from `first` on, to another sink: features of several layers stand side
/// by side.
class ColumnsOf : public FeatureSink {
 public:
  ColumnsOf(int64_t first, int64_t width, FeatureSink& sink) : first_(first), width_(width), sink_(sink) {}
  void add(const Tensor& features) override { sink_.add(features.narrow(1, first_, width_)); }

 private:
  int64_t first_, width_;
  FeatureSink& sink_;
};

/// Calls `take` with one piece of images after the other, uint8 [C, H, W] each and of any sizes, until there are none.
using ImageFeed = std::function<void(const std::function<void(const std::vector<Tensor>& images)>& take)>;

/// What was fed.
struct Fed {
  int64_t images = 0;
  std::string size;  ///< height before width: "32x32", "mixed"; "" of none
};

/// Gives the features of every image to every sink. Images of one piece that have one shape go through the network
/// together; their rows stand in the order of the images. Over ranks, all of which feed the same pieces, each computes
/// the features of every ranks-th piece; rank 0's sinks get those of all, as on one rank, to the bit (as float32), the
/// others' none.
Fed for_each_features(const ImageFeed& feed, const FeatureFn& features, const std::vector<FeatureSink*>& sinks,
                      Reducer& reducer = Reducer::local());

}  // namespace sdg::metrics
