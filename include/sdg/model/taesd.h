#pragma once
#include <vector>

#include "sdg/model/autoencoder.h"

namespace sdg::model {

/// The tiny autoencoders of O. Boer Bohan: TAESD (4 latent channels), TAESD3 and TAEF1 (16), TAEF2 (32, with a branch
/// of 1x1 convolutions in the blocks of the lowest resolution), and the 32x variant for Sana. All are one sequence of
/// layers whose kinds follow from the weights' names and shapes. Deterministic; images inside are in [0, 1].
class Taesd : public Autoencoder {
 public:
  /// `weights` as encoder.N.* and decoder.N.* (taesd_canonical_names), N the index in the public sequences. Throws
  /// Error, beginning with `where`, for tensors that make no such sequence.
  Taesd(const std::map<std::string, Tensor>& weights, const LatentSpace& space, const at::Device& device,
        const std::string& where);
  ~Taesd() override;

  std::string kind() const override { return "taesd"; }
  bool has_encoder() const override;
  bool has_decoder() const override;
  bool is_gaussian() const override { return false; }
  LatentDistribution encode(const Tensor& images) const override;
  Tensor decode(const Tensor& raw) const override;
  int64_t parameter_count() const override { return parameters_; }

  struct Layer;

 private:
  std::vector<Layer> encoder_, decoder_;
  int64_t parameters_ = 0;
};

/// Does the file hold an encoder, a decoder or both under one of the namings?
bool is_taesd(const std::map<std::string, Tensor>& weights);

/// N.* (the public files; which of the two it is follows from the first layer), encoder.N.* / decoder.N.*, and
/// diffusers' AutoencoderTiny (encoder.layers.N.*, decoder.layers.N.*, where the decoder counts from one later) become
/// encoder.N.* and decoder.N.*.
std::map<std::string, Tensor> taesd_canonical_names(const std::map<std::string, Tensor>& weights);

/// Latents as the public tools put them into 8-bit pictures: clamp(z / 6 + 1/2, 0, 1), and back.
Tensor latents_to_unit(const Tensor& raw);
Tensor latents_from_unit(const Tensor& unit);

}  // namespace sdg::model
