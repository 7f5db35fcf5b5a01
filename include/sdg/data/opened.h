#pragma once
#include <memory>
#include <string>

#include "sdg/data/latents.h"
#include "sdg/data/options.h"
#include "sdg/data/stored.h"

namespace sdg::data {

/// What a path holds: images or latents. `labels` and `masks` are null where the data set has none.
struct OpenedData {
  std::shared_ptr<ImageSource> images;
  std::shared_ptr<LatentSource> latents;
  std::shared_ptr<LabelSource> labels;
  std::shared_ptr<MaskSource> masks;
  std::string description;  ///< "folder /data/x: 300 images, 300 classes"
  std::string path;         ///< where it was found; of several files all, with commas

  /// Whichever of the two it is.
  const StoredSource& stored() const { return latents ? static_cast<const StoredSource&>(*latents) : *images; }
  int64_t size() const { return stored().size(); }
};

/// Opens a folder of images (class = sub-folder, or none), a tar of either, one image, a safetensors file with `images`
/// uint8 [N,H,W] or [N,C,H,W] and optional `labels` and `masks` uint8 [N,H,W], or one of latents (data/latents.h).
/// Several of one kind are one data set, each behind the other: "a.safetensors,b.safetensors" in that order, or a
/// folder that holds nothing but .safetensors or .tar files, sorted by name (bytes). Numbered classes keep their
/// numbers, named ones are joined by name.
/// `config_dir` is where relative paths are tried first. Throws Error for a missing path, an empty folder, and for
/// parts that do not go together: of different kinds, shapes or latents, or with labels or masks in some of them only.
OpenedData open_data(const DataOptions& options, const std::string& config_dir);

}  // namespace sdg::data
