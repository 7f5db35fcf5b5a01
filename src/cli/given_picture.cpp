#include "cli/given_picture.h"

#include "sdg/core/error.h"
#include "sdg/image/image.h"
#include "sdg/latents/latent_images.h"

namespace sdg::cli {
namespace {

// uint8 [C, H, W]
Tensor read_picture(const std::string& flag, const std::string& path, const PictureSpace& space) {
  auto picture = image::read_image(path);
  SDG_CHECK_USAGE(picture.size(1) == space.side && picture.size(2) == space.side, flag, ": ", path, " is ",
                  picture.size(2), " x ", picture.size(1), ", and this network draws ", space.side, " x ", space.side);
  if (space.channels == 1) {
    SDG_CHECK_USAGE(picture.eq(picture[0]).all().item<bool>(), flag, ": ", path,
                    " has colours, and this network draws grey images");
    picture = picture.slice(0, 0, 1);
  }
  return picture;
}

}  // namespace

PictureSpace picture_space(const std::string& flag, const checkpoint::Trained& trained, const std::string& autoencoder,
                           const at::Device& device) {
  const auto& data = trained.info.config.data;
  PictureSpace space{nullptr, data.size, data.channels};
  space.encoder = latents::autoencoder_of(trained.info, autoencoder, device);
  if (!space.encoder) return space;
  SDG_CHECK_USAGE(space.encoder->has_encoder(), flag,
                  ": this run draws latents, and its autoencoder holds no encoder; name ENCODER,DECODER with "
                  "--autoencoder");
  space.factor = space.encoder->space().factor;
  space.side = data.size * space.factor;
  space.channels = space.encoder->space().image_channels;
  return space;
}

Tensor picture_for(const std::string& flag, const std::string& path, const PictureSpace& space) {
  const auto picture = read_picture(flag, path, space);
  const auto pixels = picture.expand({space.channels, space.side, space.side}).to(at::kFloat) / 127.5 - 1;
  return space.encoder ? latents::encode_picture(*space.encoder, pixels) : pixels;
}

Tensor mask_for(const std::string& flag, const std::string& path, const PictureSpace& space) {
  const auto white = read_picture(flag, path, space)[0].ge(128);  // [side, side]
  const int64_t cells = space.side / space.factor;
  return white.view({cells, space.factor, cells, space.factor}).any(3).any(1);
}

}  // namespace sdg::cli
