#pragma once
#include <memory>
#include <string>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/model/autoencoder.h"

/// Pictures that drawing begins with.
namespace sdg::cli {

/// What a picture must be for a network, and what it becomes.
struct PictureSpace {
  std::shared_ptr<const model::Autoencoder> encoder;  ///< of a network of latents; null: pixels in [-1, 1]
  int64_t side = 0;                                   ///< of the picture in pixels
  int64_t channels = 0;                               ///< of the picture
  int64_t factor = 1;                                 ///< pixels of a side for one of the network's
};

/// Of a network of latents this loads what made them, or `autoencoder` (--autoencoder). Throws Error where it is
/// missing, UsageError where it holds no encoder; `flag` opens that message.
PictureSpace picture_space(const std::string& flag, const checkpoint::Trained& trained, const std::string& autoencoder,
                           const at::Device& device);

/// A picture as the network draws them, float [C, S, S]; of latents the mean that the encoder says, in model units.
/// Refuses one of another size, and colours for a network of grey images.
Tensor picture_for(const std::string& flag, const std::string& path, const PictureSpace& space);

/// bool [S, S]: where the picture, of the same size, is white (128 and above). A latent counts as white where any of
/// its pixels is.
Tensor mask_for(const std::string& flag, const std::string& path, const PictureSpace& space);

}  // namespace sdg::cli
