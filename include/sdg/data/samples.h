#pragma once
#include <memory>
#include <vector>

#include "sdg/data/opened.h"

/// The one door between a data set, whatever it is stored as, and what a model sees of it.
namespace sdg::data {

/// What is drawn for each sample beside the row that it is.
struct Draws {
  Tensor mirrored;  ///< bool [n]; undefined: none is
  Tensor noise;     ///< float32 [n, C, S, S], standard normal; undefined: the mean of what has a distribution
};

/// Rows as models see them: images at the model's size in [-1, 1], latents in model units. Names and labels belong to
/// what is stored (data/stored.h). Thread-safe.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual int64_t size() const = 0;
  virtual int64_t channels() const = 0;  ///< C
  virtual int64_t side() const = 0;      ///< S
  /// Is there a distribution to draw from, so that Draws::noise has an effect?
  virtual bool has_noise() const { return false; }

  /// Are rows bytes before they are numbers, so that read_pixels has an answer?
  virtual bool has_pixels() const { return false; }

  /// Fills `out`, contiguous float32 [n, C, S, S], with the rows of n indices. Gives the indices of what it took: a
  /// broken image's place is taken by another.
  virtual std::vector<int64_t> read_rows(at::IntArrayRef indices, const Tensor& out, const Draws& draws) const = 0;
  /// The same without reading what is known.
  virtual int64_t shown(int64_t index) const { return index; }
  /// Writes the C * S * S bytes of one image; the index of the one whose pixels they are. Throws Error where rows are
  /// no images.
  virtual int64_t read_pixels(int64_t index, uint8_t* out) const = 0;

  /// Broken images met so far; each counts once.
  virtual int64_t broken() const { return 0; }
  /// How many rows are kept decoded at most.
  virtual int64_t cache_capacity() const { return 0; }
};

/// Images: ADM centre crop (data/crop.h), cached in memory while they fit. A broken image is logged by name, counted
/// and replaced by the next good one (by index, cyclic, so that the replacement does not depend on who reads first);
/// past the configured share every read of a broken image throws an Error. Throws Error for an empty source and
/// UsageError for options that make no image.
std::shared_ptr<SampleSource> make_samples(std::shared_ptr<ImageSource> images, const DataOptions& options);
/// Latents, as they are. Throws UsageError where options.size and options.channels are not theirs, or mirrored ones are
/// asked for and not stored.
std::shared_ptr<SampleSource> make_samples(std::shared_ptr<LatentSource> latents, const DataOptions& options);
/// Of whatever was opened.
std::shared_ptr<SampleSource> make_samples(const OpenedData& opened, const DataOptions& options);

}  // namespace sdg::data
