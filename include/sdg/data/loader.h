#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "sdg/data/dataset.h"
#include "sdg/data/order.h"

namespace sdg::data {

struct Batch {
  Tensor x;  ///< float32 [B, C, S, S]: images in [-1, 1], or drawn latents, mirrored where drawn; uint8: see mirrored
  std::vector<int64_t> index;   ///< which image of the data set each row shows
  std::vector<int64_t> sample;  ///< global sample counter, the key of all randomness
  Tensor mirrored{};            ///< of images as bytes: bool [B], which are still to be mirrored; undefined: none
};

struct LoaderOptions {
  int64_t batch = 128;
  uint64_t seed = 0;
  bool flip = false;
  int64_t threads = 1;   ///< decoding threads; the next batches are ready while this one trains. 0 loads in next()
  int64_t prefetch = 2;  ///< batches kept ready
  std::optional<OrderKind> order{};  ///< of an epoch; default: by the number of images
  std::vector<int64_t> rows{};       ///< of each batch only these, ascending, are read and returned; empty: all
  bool for_device = false;           ///< batches lie in pinned memory, images as bytes: a quarter to copy
};

/// Rows `first` … first + count - 1 of a batch as the model sees them, float32 on `device`, which nobody waits for:
/// bytes become numbers and are mirrored there, to the bits of a batch that was float32 from the start.
Tensor values_on(const at::Device& device, const Batch& batch, int64_t first, int64_t count);

/// Endless shuffled batches. Sample s is image permutation(seed, epoch = s / N)[s % N]: a function of s alone, so
/// starting at any sample costs nothing and changes nothing. Flips are keyed by s too. Neither threads, batch size nor
/// the first sample change a sample.
class Loader {
 public:
  /// `dataset` must outlive the loader.
  Loader(const Dataset& dataset, const LoaderOptions& options, int64_t first_sample);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  /// The batch of the next step. Rethrows what a loading thread threw for it. For one calling thread.
  Batch next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sdg::data
