#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include "sdg/core/progress.h"
#include "sdg/data/dataset.h"
#include "sdg/model/autoencoder.h"

namespace sdg::latents {

struct EncodeOptions {
  std::string autoencoder;    ///< the files it was loaded from, to be remembered
  int64_t size = 256;         ///< side of the images, a multiple of the factor
  int64_t batch = 16;         ///< images between two marks from which an interrupted run goes on
  bool flip = false;          ///< store the latents of the mirrored images too
  bool psnr = false;          ///< decode again and store how near it comes
  bool half = false;          ///< float16 instead of float32
  int64_t tile = 0;           ///< > 0: images larger than this go in tiles (model/tiling.h)
  double max_broken = 0.001;  ///< share of images that may be replaced by the next good one, with its label
};

struct EncodeResult {
  int64_t images = 0;     ///< in the file
  int64_t found = 0;      ///< of these, encoded by an earlier run that was interrupted
  int64_t broken = 0;     ///< replaced
  int64_t enlarged = 0;   ///< smaller than `size`; of the images encoded now
  bool finished = false;  ///< false: stopped on request
};

/// Writes the latents of a data set to a safetensors file as data/latents.h describes, cut and resized as in training
/// (ADM's centre crop). Means and variances are stored raw, so that training draws anew. Bounded memory; what an
/// interrupted run has done is found again. On the CPU each image is computed alone by one worker, so that the file
/// does not depend on `batch`. Throws UsageError for a size that is no multiple of the factor, Error for broken images
/// beyond the share.
EncodeResult encode(const data::OpenedData& data, const model::Autoencoder& autoencoder, const at::Device& device,
                    const std::filesystem::path& out, const EncodeOptions& options, const Progress& progress = {},
                    const std::function<bool()>& stop = {});

/// Peak signal-to-noise ratio in dB of uint8 [N, C, H, W] pictures to others, one a row: 10 log10(255^2 / MSE), float32
/// [N]; infinity where they are equal.
Tensor psnr(const Tensor& images, const Tensor& others);

}  // namespace sdg::latents
