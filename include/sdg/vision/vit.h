#pragma once
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <map>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/nn/attention.h"
#include "sdg/nn/layers.h"
#include "sdg/nn/mlp.h"
#include "sdg/nn/patch.h"

/// The vision transformers of DINO (Caron et al., 2021) and DINOv2 (Oquab et al., 2023; registers: Darcet et al.,
/// 2023), with the key names of their own code and timm's.
namespace sdg::vision {

/// How position embeddings come to another grid than their own; all bicubic, half-pixel.
enum class PositionResize {
  kOffsetScale,  ///< DINO, DINOv2: by the factor (side + 0.1) / own side, which enters the coordinates; no antialias
  kAntialiased,  ///< DINOv2 with registers, timm: to the size, antialiased
};

struct VitShape {
  int64_t dim = 0, depth = 0, heads = 0, patch = 0, hidden = 0;
  int64_t positions = 0;  ///< of pos_embed, with the class token's where it has one
  int64_t registers = 0;
  bool class_position = true;  ///< pos_embed has an entry for the class token
  bool layer_scale = false;
  bool pooled_norm = false;  ///< no final norm but `fc_norm`, after the mean over patches (timm)
  PositionResize resize = PositionResize::kOffsetScale;
};

struct VitTokens {
  Tensor cls;        ///< [N, D]
  Tensor patches;    ///< [N, L, D]
  Tensor registers;  ///< [N, R, D]
};

class VitBlockImpl : public torch::nn::Module {
 public:
  explicit VitBlockImpl(const VitShape& shape);
  Tensor forward(const Tensor& x) const;  ///< [N, T, D] -> [N, T, D]
  Tensor keys(const Tensor& x) const;     ///< of its attention, the heads side by side: [N, T, D] -> [N, T, D]

 private:
  nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  nn::Attention attn_{nullptr};
  nn::Mlp mlp_{nullptr};
  Tensor gamma1_, gamma2_;  // [D] where there is LayerScale
};
TORCH_MODULE(VitBlock);

/// Pre-norm blocks, LayerNorm eps 1e-6, GELU by erf.
class VitImpl : public torch::nn::Module {
 public:
  explicit VitImpl(const VitShape& shape);
  /// x float [N, 3, H, W], H and W multiples of the patch. Tokens after the final norm.
  VitTokens forward(const Tensor& x) const;
  /// Of the patches, the keys of the last attention layer, [N, L, D]: what LOST (regions/lost.h) looks at.
  Tensor keys(const Tensor& x) const;
  /// The one feature of an image: the class token, or with `pooled_norm` the normed mean over patches. [N, D]
  Tensor features(const Tensor& x) const;
  /// [1, T of that grid without registers, D]
  Tensor positions(int64_t rows, int64_t columns) const;
  /// Names as vit_weights gives them. Throws Error for a missing key, an unknown one or a wrong shape.
  void load_state(const std::map<std::string, Tensor>& weights, const std::string& where);

 private:
  Tensor embed(const Tensor& x) const;  // tokens before the first block, [N, T, D]

  VitShape shape_;
  nn::PatchEmbed patch_embed_{nullptr};
  nn::LayerNorm norm_{nullptr};
  std::vector<VitBlock> blocks_;
  Tensor cls_token_, pos_embed_, registers_;
};
TORCH_MODULE(Vit);

/// Weights under the names of DINO, DINOv2, timm or Hugging Face (ViTModel, Dinov2Model, Dinov2WithRegistersModel), as
/// VitImpl names them; what features do not depend on (mask token, heads, poolers) is left out.
std::map<std::string, Tensor> vit_weights(const std::map<std::string, Tensor>& weights);

/// What the weights say of the network. `heads` 0 takes a width of 64 for each, as all published ones have. Throws
/// Error, beginning with `where`, where they are no such network's.
VitShape vit_shape(const std::map<std::string, Tensor>& weights, const std::string& where, int64_t heads = 0,
                   PositionResize resize = PositionResize::kOffsetScale);

/// uint8 [N, 3, H, W] -> float [N, 3, size, size]: each side to `size` as Pillow's bicubic does, in bytes, then
/// ImageNet's mean and deviation taken out (dgm-eval's front end of DINOv2).
Tensor vit_input(const Tensor& images, int64_t size);

/// The same with mean and deviation taken out first, then each side to `size` by PyTorch's bicubic of floats, without
/// antialias (REPA's front end).
Tensor vit_input_in_floats(const Tensor& images, int64_t size);

}  // namespace sdg::vision
