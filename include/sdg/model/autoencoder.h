#pragma once
#include <c10/core/Device.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::model {

/// What an encoder says of an image, in the autoencoder's own (raw) units: a Gaussian, or a point.
struct LatentDistribution {
  Tensor mean;    ///< [N, C, h, w]
  Tensor logvar;  ///< the same shape, clamped to [-30, 20]; undefined where the encoder is deterministic

  Tensor std() const;                        ///< exp(logvar / 2); zeros for a point
  Tensor sample(const Tensor& noise) const;  ///< mean + std * noise
  Tensor kl() const;                         ///< [N] nats to N(0, I), summed over C, h, w; needs logvar
};

/// What latents of an autoencoder are, and how they become what diffusion models are trained on.
struct LatentSpace {
  int64_t channels = 4;        ///< C
  int64_t factor = 8;          ///< pixels of a side for one latent
  int64_t image_channels = 3;  ///< of the images it takes and gives
  double scale = 1;            ///< model units = scale * (raw - shift)
  double shift = 0;

  Tensor to_model(const Tensor& raw) const;
  Tensor from_model(const Tensor& scaled) const;
};

/// Images to latents and back. Both directions are const and may run on several threads at once; they neither draw nor
/// keep gradients apart. One of the two may be missing (TAESD comes as two files).
class Autoencoder {
 public:
  virtual ~Autoencoder() = default;

  virtual std::string kind() const = 0;  ///< "kl" or "taesd"
  virtual bool has_encoder() const = 0;
  virtual bool has_decoder() const = 0;
  virtual bool is_gaussian() const = 0;  ///< does encode give a logvar
  /// images [N, 3, H, W] in [-1, 1], H and W multiples of the factor -> [N, C, H/factor, W/factor], raw.
  virtual LatentDistribution encode(const Tensor& images) const = 0;
  /// raw [N, C, h, w] -> images [N, 3, h factor, w factor], about [-1, 1], not clamped.
  virtual Tensor decode(const Tensor& raw) const = 0;
  /// Weights of the directions that are there.
  virtual int64_t parameter_count() const = 0;

  const LatentSpace& space() const { return space_; }
  /// Fingerprints of the weights, "" where there are none: the same whatever container, names or float type they came
  /// in.
  const std::string& encoder_id() const { return encoder_id_; }
  const std::string& decoder_id() const { return decoder_id_; }

 protected:
  /// Throws Error unless `images` and `raw` have the shapes that encode and decode take.
  void check_images(const Tensor& images) const;
  void check_raw(const Tensor& raw) const;

  LatentSpace space_;
  std::string encoder_id_, decoder_id_;
};

/// What cannot be told from the weights. Empty: from the config.json beside them, else from the file's metadata
/// (`scaling_factor`, `shift_factor`, `norm_num_groups`), else the kind's own: KL with 4 channels 0.18215, TAESD 1.
struct AutoencoderOptions {
  std::optional<double> scale, shift;
  std::optional<int64_t> norm_groups;  ///< of the KL autoencoder's group norms; 32 unless something says otherwise
};

/// The one or two files that such a text names (config/find.h expands them). A comma inside a name is told from the one
/// between two by what is there.
std::vector<std::filesystem::path> autoencoder_files(const std::string& files);

/// Reads "FILE", "ENCODER,DECODER" (safetensors or torch files, see tensors/weights.h) or a diffusers folder
/// (config.json and weights). The kind and all sizes follow from the tensors' names and shapes. Throws Error for a
/// missing file, weights of another kind, and a KL autoencoder of unknown scale.
std::shared_ptr<const Autoencoder> load_autoencoder(const std::string& files, const AutoencoderOptions& options = {},
                                                    const at::Device& device = at::kCPU);

/// The same from tensors; `where` names them in messages.
std::shared_ptr<const Autoencoder> make_autoencoder(std::map<std::string, Tensor> weights,
                                                    const AutoencoderOptions& options, const at::Device& device,
                                                    const std::string& where);

/// 16 hex digits of the tensors whose name starts with one of `prefixes`, as float32; "" if there is none or they hold
/// no data.
std::string weights_id(const std::map<std::string, Tensor>& weights, const std::vector<std::string>& prefixes);

}  // namespace sdg::model
