#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/data/latents.h"
#include "sdg/data/options.h"

namespace sdg::data {

/// Images by index, as stored. Implementations are thread-safe and know nothing of labels.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  virtual int64_t size() const = 0;
  /// uint8 [C, H, W] of any size, C 1 or 3. Throws Error if the image cannot be decoded.
  virtual Tensor read(int64_t index) const = 0;
  /// How messages call the image, e.g. a path.
  virtual std::string name(int64_t index) const = 0;

  /// What a fingerprint is made of (data/fingerprint.h). The name below the root, with '/'; "" where images have none.
  virtual std::string short_name(int64_t) const { return {}; }
  /// Bytes that hold the image; 0 where that is not known without reading it.
  virtual uint64_t stored_size(int64_t) const { return 0; }
  /// The file that holds it, undecoded; nothing where images are no files.
  virtual std::optional<std::vector<std::byte>> stored(int64_t) const { return std::nullopt; }
};

/// Labels are kept apart from images, so that code that gets no LabelSource cannot read them.
class LabelSource {
 public:
  virtual ~LabelSource() = default;
  /// int64 [size]
  virtual Tensor labels() const = 0;
  virtual std::vector<std::string> class_names() const = 0;
};

/// A class for each pixel, kept apart from images as labels are.
class MaskSource {
 public:
  virtual ~MaskSource() = default;
  /// uint8 [H, W] as stored; kIgnored marks pixels that are not scored.
  virtual Tensor mask(int64_t index) const = 0;
  static constexpr int64_t kIgnored = 255;
};

/// What a path holds: images or latents. `labels` and `masks` are null where the data set has none.
struct OpenedData {
  std::shared_ptr<ImageSource> images;
  std::shared_ptr<LatentSource> latents;
  std::shared_ptr<LabelSource> labels;
  std::shared_ptr<MaskSource> masks;
  std::string description;  ///< "folder /data/x: 300 images, 300 classes"
  std::string path;         ///< where it was found

  int64_t size() const { return latents ? latents->size() : images->size(); }
};

/// Opens a folder of images (class = sub-folder, or none), a tar of either, one image, a safetensors file with `images`
/// uint8 [N,H,W] or [N,C,H,W] and optional `labels` and `masks` uint8 [N,H,W], or one of latents (data/latents.h).
/// `config_dir` is where relative paths are tried first. Throws Error for a missing path or an empty folder.
OpenedData open_data(const DataOptions& options, const std::string& config_dir);

/// What the model sees: images at its resolution and channel count (adm_center_crop), cached in memory while they fit,
/// or latents as they are. A broken image is logged by name, counted and replaced by the next good one (by index,
/// cyclic, so that the replacement does not depend on who reads first); past the configured share every read of a
/// broken image throws an Error. What belongs to an image (label, mask, pseudo-label, noise) must be taken by `shown`,
/// as the pixels are. Thread-safe.
class Dataset {
 public:
  /// Throws Error for an empty source and UsageError for options that make no image.
  Dataset(std::shared_ptr<ImageSource> source, const DataOptions& options);
  /// Throws UsageError where options.size and options.channels are not those of the latents, or mirrored ones are
  /// asked for and not stored.
  Dataset(std::shared_ptr<LatentSource> latents, const DataOptions& options);
  Dataset(const OpenedData& opened, const DataOptions& options);
  ~Dataset();
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  int64_t size() const;
  /// C and S of what it gives.
  int64_t channels() const;
  int64_t image_size() const;
  /// Latents instead of images, or null. image, images and read_into then throw an Error: latents are no pixels.
  const LatentSource* latents() const { return latents_.get(); }
  /// float32 [indices.size(), C, S, S] as models see them: images in [-1, 1], the means of latents in model units.
  Tensor values(at::IntArrayRef indices) const;

  /// uint8 [C, S, S]
  Tensor image(int64_t index) const;
  /// uint8 [indices.size(), C, S, S]
  Tensor images(at::IntArrayRef indices) const;
  /// Writes the C * S * S bytes of one image, without an allocation where it is cached; the index of the image whose
  /// pixels they are.
  int64_t read_into(int64_t index, uint8_t* out) const;
  /// The image whose pixels stand at `index`: itself, or what replaces it if it is broken. Decodes what nobody has read
  /// yet. Latents stand for themselves.
  int64_t shown(int64_t index) const;
  /// The same of many, decoded by all workers.
  std::vector<int64_t> shown(at::IntArrayRef indices) const;
  /// Broken images met so far; each counts once.
  int64_t broken() const;
  /// How many images the cache can hold.
  int64_t cache_capacity() const;

 private:
  struct State;
  State& pixels() const;

  std::shared_ptr<LatentSource> latents_;
  std::unique_ptr<State> state_;  // of images
};

}  // namespace sdg::data
