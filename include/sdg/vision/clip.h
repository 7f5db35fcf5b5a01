#pragma once
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <map>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/nn/attention.h"
#include "sdg/nn/layers.h"

/// The image tower of CLIP (Radford et al., 2021), a vision transformer.
namespace sdg::vision {

struct ClipShape {
  int64_t dim = 0, depth = 0, heads = 0, patch = 0, hidden = 0;
  int64_t side = 0;       ///< of the grid of patches
  int64_t embedding = 0;  ///< width of the space that images and texts share
};

/// Pre-norm blocks, LayerNorm eps 1e-5, QuickGELU x sigmoid(1.702 x), a norm before the first block.
class ClipImageTowerImpl : public torch::nn::Module {
 public:
  explicit ClipImageTowerImpl(const ClipShape& shape);
  /// x float [N, 3, S, S], S = side patches -> [N, embedding]: the class token after the final norm, projected; not
  /// brought to length 1.
  Tensor forward(const Tensor& x) const;
  /// Names as clip_weights gives them. Throws Error for a missing key, an unknown one or a wrong shape.
  void load_state(const std::map<std::string, Tensor>& weights, const std::string& where);

 private:
  struct Block {
    nn::LayerNorm norm1{nullptr}, norm2{nullptr};
    nn::Attention attn{nullptr};
    nn::Linear fc1{nullptr}, fc2{nullptr};
  };

  ClipShape shape_;
  Tensor patch_weight_, cls_token_, pos_embed_;  // [D, 3, P, P], [D], [L + 1, D]
  nn::LayerNorm norm_pre_{nullptr}, norm_{nullptr};
  std::vector<Block> blocks_;
  nn::Linear projection_{nullptr};
};
TORCH_MODULE(ClipImageTower);

/// Weights under the names of OpenAI's code and open_clip (`visual.…`) or Hugging Face's (CLIPModel,
/// CLIPVisionModelWithProjection), as ClipImageTowerImpl names them; the text tower's are left out.
std::map<std::string, Tensor> clip_weights(const std::map<std::string, Tensor>& weights);

/// What the weights say of the network. `heads` 0 takes a width of 64 for each, as all published ones have. Throws
/// Error, beginning with `where`, where they are no such network's.
ClipShape clip_shape(const std::map<std::string, Tensor>& weights, const std::string& where, int64_t heads = 0);

/// uint8 [N, 3, H, W] -> float [N, 3, size, size] as CLIP's own preprocessing and clean-fid's do: the shorter side to
/// `size` by Pillow's bicubic in bytes, the middle square of it, CLIP's mean and deviation taken out.
Tensor clip_input(const Tensor& images, int64_t size);

}  // namespace sdg::vision
