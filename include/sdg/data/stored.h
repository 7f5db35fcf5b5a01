#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/io/digest.h"

/// Data as they are stored, by index. Implementations are thread-safe, and those of images and latents know nothing of
/// labels.
namespace sdg::data {

/// What images and latents have in common: their number, their names and what a fingerprint (data/fingerprint.h) is
/// made of.
class StoredSource {
 public:
  virtual ~StoredSource() = default;
  virtual int64_t size() const = 0;
  /// How messages call it, e.g. a path.
  virtual std::string name(int64_t index) const = 0;
  /// The name below the root, with '/'; "" where there are none.
  virtual std::string short_name(int64_t) const { return {}; }
  /// Bytes that hold it; 0 where that is not known without reading it.
  virtual uint64_t stored_size(int64_t) const { return 0; }
  /// Adds what is stored. Throws Error if it cannot be read.
  virtual void digest(int64_t index, io::Digest& out) const = 0;
};

/// Images of any size.
class ImageSource : public StoredSource {
 public:
  /// uint8 [C, H, W] of any size, C 1 or 3. Throws Error if the image cannot be decoded.
  virtual Tensor read(int64_t index) const = 0;
  /// The file that holds it, undecoded; nothing where images are no files.
  virtual std::optional<std::vector<std::byte>> stored(int64_t) const { return std::nullopt; }
  /// Of the file where there is one, else of the pixels.
  void digest(int64_t index, io::Digest& out) const override;
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

}  // namespace sdg::data
