#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "sdg/data/samples.h"

namespace sdg::data {

/// What the model sees (data/samples.h), in the amounts that callers want. What belongs to an image (label, mask,
/// pseudo-label, noise) must be taken by `shown`, as the pixels are. Thread-safe.
class Dataset {
 public:
  explicit Dataset(std::shared_ptr<SampleSource> samples) : samples_(std::move(samples)) {}
  Dataset(std::shared_ptr<ImageSource> source, const DataOptions& options)
      : samples_(make_samples(std::move(source), options)) {}
  Dataset(const OpenedData& opened, const DataOptions& options) : samples_(make_samples(opened, options)) {}

  int64_t size() const { return samples_->size(); }
  /// C and S of what it gives.
  int64_t channels() const { return samples_->channels(); }
  int64_t image_size() const { return samples_->side(); }
  const SampleSource& samples() const { return *samples_; }

  /// float32 [indices.size(), C, S, S] as models see them: images in [-1, 1], the means of latents in model units.
  Tensor values(at::IntArrayRef indices) const;
  /// uint8 [C, S, S]. Throws Error for latents, which are no pixels; images() too.
  Tensor image(int64_t index) const;
  /// uint8 [indices.size(), C, S, S]
  Tensor images(at::IntArrayRef indices) const;
  /// The image whose pixels stand at `index`: itself, or what replaces it if it is broken. Decodes what nobody has read
  /// yet. Latents stand for themselves.
  int64_t shown(int64_t index) const { return samples_->shown(index); }
  /// The same of many, decoded by all workers.
  std::vector<int64_t> shown(at::IntArrayRef indices) const;
  /// Broken images met so far; each counts once.
  int64_t broken() const { return samples_->broken(); }

 private:
  std::shared_ptr<SampleSource> samples_;
};

}  // namespace sdg::data
