#pragma once
#include "sdg/model/autoencoder.h"

namespace sdg::model {

/// The KL autoencoder of Stable Diffusion (Rombach et al., 2022) in diffusers' layout: levels of residual blocks, one
/// attention head in the middle and, at resolutions that have it, after every block of a level; Gaussian latents.
/// Widths, depths, levels, attention and channels follow from the weights, so that SD 1.x, SDXL, SD 3, FLUX, LDM's
/// networks of factor 4 to 32 and the VA-VAE of LightningDiT are the same class.
class AutoencoderKl : public Autoencoder {
 public:
  /// `weights` by diffusers' new names (kl_canonical_names); the encoder or the decoder may be missing. `space` gives
  /// scale and shift; the rest of it is read off. Throws Error, beginning with `where`, for missing, unexpected and
  /// misshapen tensors.
  AutoencoderKl(const std::map<std::string, Tensor>& weights, int64_t norm_groups, const LatentSpace& space,
                const at::Device& device, const std::string& where);
  ~AutoencoderKl() override;

  std::string kind() const override { return "kl"; }
  bool has_encoder() const override;
  bool has_decoder() const override;
  bool is_gaussian() const override { return true; }
  LatentDistribution encode(const Tensor& images) const override;
  Tensor decode(const Tensor& raw) const override;
  int64_t parameter_count() const override { return parameters_; }

  /// What the encoder gives before it is read as mean and clamped logvar: [N, 2C, h, w].
  Tensor moments(const Tensor& images) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
  int64_t parameters_ = 0;
};

/// Does the file hold a KL autoencoder under one of the three namings?
bool is_kl(const std::map<std::string, Tensor>& weights);

/// The names of CompVis/LDM (also below a prefix, as first_stage_model. in a whole Stable Diffusion checkpoint) and of
/// older diffusers become those of newer diffusers; 1x1-convolution weights of the attention become matrices. Tensors
/// of other parts (loss, the diffusion network) are left out.
std::map<std::string, Tensor> kl_canonical_names(const std::map<std::string, Tensor>& weights);

/// mean and clamped logvar of moments [N, 2C, h, w].
LatentDistribution distribution_of_moments(const Tensor& moments);

}  // namespace sdg::model
