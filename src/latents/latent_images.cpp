#include "sdg/latents/latent_images.h"

#include "sdg/config/find.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/log.h"
#include "sdg/core/parallel.h"
#include "sdg/image/image.h"
#include "sdg/model/tiling.h"

namespace sdg::latents {
namespace {

constexpr int64_t kAtOnce = 16;  // on a GPU

Tensor decode(const model::Autoencoder& decoder, const Tensor& x, int64_t tile) {
  const c10::InferenceMode inference;
  const auto pictures = [](const Tensor& decoded) {
    SDG_CHECK(is_finite(decoded), "autoencoder: a decoded image is not finite: its latents or the weights are not");
    return image::to_uint8(decoded).cpu();
  };
  const Tensor raw = decoder.space().from_model(x);
  if (tile <= 0) return pictures(decoder.decode(raw));
  model::TileOptions options;
  options.tile = tile;
  options.overlap = tile / 4;
  options.margin = tile / 16;
  return pictures(model::decode_tiled(decoder, raw, options));
}

}  // namespace

Tensor to_pictures(const ToImages& to_images, const Tensor& x) {
  return to_images ? to_images(x) : image::to_uint8(x).cpu();
}

std::shared_ptr<const model::Autoencoder> load_decoder(const data::LatentCard& card, const std::string& files,
                                                       const at::Device& device) {
  const std::string& named = files.empty() ? card.autoencoder : files;
  SDG_CHECK(!named.empty(),
            "autoencoder: these latents do not say what decodes them; name it with --autoencoder or "
            "data.autoencoder");
  model::AutoencoderOptions options;
  options.scale = card.scale;
  options.shift = card.shift;
  std::shared_ptr<const model::Autoencoder> decoder;
  try {
    decoder = model::load_autoencoder(named, options, device);
  } catch (const Error& error) {
    throw Error(cat(error.what(), "; name the one that decodes these latents with --autoencoder or data.autoencoder"));
  }
  const auto& space = decoder->space();
  SDG_CHECK(decoder->has_decoder(), "autoencoder: ", named,
            " holds no decoder; name ENCODER,DECODER with --autoencoder or data.autoencoder");
  SDG_CHECK(space.channels == card.channels && space.factor == card.factor, "autoencoder: ", named, " decodes ",
            space.channels, " channels at 1/", space.factor, ", these latents have ", card.channels, " at 1/",
            card.factor);
  const bool other_encoder =
      !decoder->encoder_id().empty() && !card.encoder_id.empty() && decoder->encoder_id() != card.encoder_id;
  const bool other_decoder = !card.decoder_id.empty() && decoder->decoder_id() != card.decoder_id;
  if (other_encoder || other_decoder)
    log::warning(cat("autoencoder: the weights of ", named, " are not those that these latents were made with"));
  return decoder;
}

ToImages decode_with(std::shared_ptr<const model::Autoencoder> decoder, const at::Device& device, int64_t tile) {
  return [decoder = std::move(decoder), device, tile](const Tensor& x) {
    const int64_t count = x.size(0), piece = device.is_cpu() ? 1 : kAtOnce;
    const int64_t pieces = (count + piece - 1) / piece;
    std::vector<Tensor> images(static_cast<size_t>(pieces));
    const auto one = [&](int64_t i) {
      const auto rows = x.slice(0, i * piece, std::min(count, (i + 1) * piece)).to(device);
      images[static_cast<size_t>(i)] = decode(*decoder, rows, tile);
    };
    if (device.is_cpu()) {
      worker_pool().run(pieces, one);
    } else {
      for (int64_t i = 0; i < pieces; ++i) one(i);
    }
    return at::cat(images);
  };
}

std::shared_ptr<const model::Autoencoder> autoencoder_of(const checkpoint::CheckpointInfo& info,
                                                         const std::string& files, const at::Device& device) {
  const std::string& named = files.empty() ? info.config.data.autoencoder : files;
  if (info.latents) return load_decoder(*info.latents, named, device);
  const int64_t channels = info.config.data.channels;
  if (named.empty()) {
    SDG_CHECK_USAGE(channels == 1 || channels == 3, "this network draws latents of ", channels,
                    " channels: name what decodes them with --autoencoder");
    return {};
  }
  auto decoder = model::load_autoencoder(named, {}, device);
  const auto& space = decoder->space();
  SDG_CHECK(decoder->has_decoder(), "autoencoder: ", named, " holds no decoder; name ENCODER,DECODER");
  SDG_CHECK(space.channels == channels, "autoencoder: ", named, " decodes ", space.channels,
            " channels, this network draws ", channels);
  return decoder;
}

ToImages to_images_of(const checkpoint::CheckpointInfo& info, const std::string& files, const at::Device& device,
                      std::string* decoder_id) {
  auto decoder = autoencoder_of(info, files, device);
  if (!decoder) return {};
  if (decoder_id) *decoder_id = decoder->decoder_id();
  return decode_with(std::move(decoder), device);
}

data::LatentCard card_of_drawn(const checkpoint::CheckpointInfo& info, const std::string& files,
                               const at::Device& device) {
  const auto decoder = autoencoder_of(info, files, device);
  SDG_ASSERT(decoder, "a network of pixels draws no latents");
  const auto& space = decoder->space();
  data::LatentCard card = info.latents.value_or(data::LatentCard());
  card.images = card.images_fingerprint = card.provenance = "";
  if (!info.latents) {
    card.channels = space.channels;
    card.size = info.config.data.size;
    card.factor = space.factor;
    card.image_channels = space.image_channels;
    card.scale = space.scale;
    card.shift = space.shift;
    card.kind = decoder->kind();
    card.encoder_id = decoder->encoder_id();
    card.decoder_id = decoder->decoder_id();
  }
  const auto& named = files.empty() ? info.config.data.autoencoder : files;
  if (!named.empty()) card.autoencoder = named;
  return card;
}

Tensor encode_picture(const model::Autoencoder& encoder, const Tensor& pixels) {
  const c10::InferenceMode inference;
  const auto latents = encoder.space().to_model(encoder.encode(pixels.unsqueeze(0)).mean);
  SDG_CHECK(is_finite(latents), "autoencoder: an encoded image is not finite: the weights are not");
  return latents[0].cpu();
}

namespace {

bool is_there(const std::string& images) {
  try {
    config::find_parts_beside(images, "");
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

data::DataOptions reference_options(const checkpoint::CheckpointInfo& info, bool needed) {
  auto options = info.config.data;
  if (!info.latents) return options;
  const auto& card = *info.latents;
  SDG_CHECK(!needed || is_there(card.images), "the images that were encoded, ", card.images,
            ", are not there; name them with --reference");
  options.path = card.images;
  options.format = data::Format::kAuto;
  options.size = card.image_size();
  options.channels = card.image_channels;
  return options;
}

data::Dataset open_images(const data::DataOptions& options, const std::string& config_dir) {
  const auto opened = data::open_data(options, config_dir);
  SDG_CHECK_USAGE(opened.images, opened.path, ": holds latents; expected images");
  return data::Dataset(opened.images, options);
}

}  // namespace sdg::latents
