#pragma once
#include <map>
#include <string>

#include "sdg/core/tensor.h"
#include "sdg/data/stored.h"

/// Files of latents, as `sdg encode` writes them: safetensors with `mean` [N, C, S, S] in the autoencoder's raw units,
/// `logvar` of the same shape where it gives a distribution, both once more as `mean_flipped` and `logvar_flipped` for
/// the mirrored images, `labels` int64 [N] where there are classes, `names` (bytes, one line an image, written as
/// core/utf8.h says) and, of `--psnr`, `psnr` float32 [N]. The metadata is a LatentCard.
namespace sdg::data {

/// What latents are, so that nobody trains on them in the wrong units.
struct LatentCard {
  int64_t channels = 4;                ///< C
  int64_t size = 32;                   ///< S
  int64_t factor = 8;                  ///< pixels of a side for one latent
  int64_t image_channels = 3;          ///< of the images they were
  double scale = 1, shift = 0;         ///< model units = scale * (raw - shift)
  std::string kind;                    ///< of the autoencoder: "kl", "taesd"
  std::string autoencoder;             ///< its files, as load_autoencoder takes them
  std::string encoder_id, decoder_id;  ///< fingerprints of its weights; "" where unknown
  std::string images;                  ///< the data set that was encoded
  std::string images_fingerprint;      ///< of it (data/fingerprint.h), as text; "" in older files
  std::string provenance;              ///< chain of what made the latents (checkpoint/provenance.h); "" in older files

  int64_t image_size() const { return size * factor; }
};

/// As metadata of a safetensors file, with `format`.
std::map<std::string, std::string> to_metadata(const LatentCard& card);
/// Throws Error, beginning with `where`, for metadata of something else.
LatentCard parse_latent_card(const std::map<std::string, std::string>& metadata, const std::string& where);
/// Do the metadata say that the file holds latents?
bool is_latents(const std::map<std::string, std::string>& metadata);

/// Latents by index. Thread-safe.
class LatentSource : public StoredSource {
 public:
  virtual const LatentCard& card() const = 0;
  /// Are there latents of the mirrored images?
  virtual bool has_flips() const = 0;
  /// Is there a distribution to draw from?
  virtual bool has_noise() const = 0;
  /// "" or the image's name in its data set.
  std::string name(int64_t index) const override { return short_name(index); }

  /// scale * (mean + exp(logvar / 2) * noise - shift), C * S * S floats; the mean where `noise` is null.
  virtual void read_into(int64_t index, bool flipped, const float* noise, float* out) const = 0;
  /// The means in raw units, float32 [n, C, S, S], from `first` on.
  virtual Tensor raw_means(int64_t first, int64_t count) const = 0;
};

}  // namespace sdg::data
