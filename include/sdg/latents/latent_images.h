#pragma once
#include <functional>
#include <memory>
#include <string>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/data/dataset.h"
#include "sdg/model/autoencoder.h"

namespace sdg::latents {

/// What a network works on, [N, C, S, S] in model units, as pictures uint8 [N, C', S', S'] on the CPU. Rows are
/// computed alone: how many come together changes nothing (on the CPU, bit for bit). Empty: x are pixels in [-1, 1].
using ToImages = std::function<Tensor(const Tensor& x)>;

/// Applies it, or rounds pixels where it is empty.
Tensor to_pictures(const ToImages& to_images, const Tensor& x);

/// The autoencoder that decodes latents of that card: `files`, else the one the card names; its scale and shift are
/// the card's. Throws Error where it is missing or makes latents of another shape; warns where its weights are not the
/// ones the card remembers.
std::shared_ptr<const model::Autoencoder> load_decoder(const data::LatentCard& card, const std::string& files,
                                                       const at::Device& device);

/// Decodes on the decoder's device: on the CPU one image a worker, on a GPU a few at once. `tile` > 0: images larger
/// than that side go in tiles (model/tiling.h).
ToImages decode_with(std::shared_ptr<const model::Autoencoder> decoder, const at::Device& device, int64_t tile = 0);

/// Of a trained network: empty for one of pixels. `files` as above, else data.autoencoder of its config. A network of
/// latents without a card (one that was converted) is decoded with the autoencoder's own scale. Throws UsageError where
/// it draws latents and nothing says what decodes them. `decoder_id`, where not null, gets the fingerprint of what
/// decodes, "" of pixels.
ToImages to_images_of(const checkpoint::CheckpointInfo& info, const std::string& files, const at::Device& device,
                      std::string* decoder_id = nullptr);

/// What decodes a network's drawings, files and errors as of to_images_of; null for one of pixels.
std::shared_ptr<const model::Autoencoder> autoencoder_of(const checkpoint::CheckpointInfo& info,
                                                         const std::string& files, const at::Device& device);

/// Of latents that the network draws: the card of those it was trained on, without their images, or of the autoencoder
/// that decodes them (autoencoder_of). Not for a network of pixels.
data::LatentCard card_of_drawn(const checkpoint::CheckpointInfo& info, const std::string& files,
                               const at::Device& device);

/// One image, float [C', S', S'] in [-1, 1], as the network sees it: the mean of its latents in model units, float [C,
/// S, S] on the CPU.
Tensor encode_picture(const model::Autoencoder& encoder, const Tensor& pixels);

/// The images that distances of a run are taken to: its training data or, of latents, the images that were encoded, at
/// the size they were encoded at: never what the autoencoder makes of them. `needed`: throws Error where they are gone.
sdg::data::DataOptions reference_options(const checkpoint::CheckpointInfo& info, bool needed);

/// Throws UsageError for a file of latents.
sdg::data::Dataset open_images(const sdg::data::DataOptions& options, const std::string& config_dir);

}  // namespace sdg::latents
