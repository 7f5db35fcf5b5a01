#pragma once
#include <torch/nn/modules/linear.h>

#include <map>
#include <string>

#include "sdg/vision/inception_blocks.h"

namespace sdg::vision {

/// What the literature takes from one pass through the network, all float32.
struct InceptionFeatures {
  Tensor f64;              ///< [N, 64] after the first max pool, averaged over space
  Tensor f192;             ///< [N, 192] after the second max pool
  Tensor f768;             ///< [N, 768] before Mixed_7a
  Tensor f2048;            ///< [N, 2048] the final average pool: FID
  Tensor spatial;          ///< [N, 2023] first 7 channels of Mixed_6e, flattened: sFID as sgfm and dgm-eval take it
  Tensor spatial_adm;      ///< [N, 2023] first 7 channels of Mixed_6d.branch1x1, pixel by pixel: sFID as the ADM
                           ///< evaluator takes it, in the order of its files' mu_s and sigma_s
  Tensor logits_unbiased;  ///< [N, 1008] fc without its bias: Inception Score
  Tensor logits;           ///< [N, 1008] with the bias
};

/// The Inception v3 of FID: 23.9 M parameters, pytorch-fid's key names (`Conv2d_1a_3x3.conv.weight` … `fc.bias`), in
/// eval mode.
class FidInceptionImpl : public torch::nn::Module {
 public:
  FidInceptionImpl();
  /// x float [N, 3, 299, 299] in [-1, 1], from one of the front ends below.
  InceptionFeatures forward(const Tensor& x);
  /// Copies weights by name. `fc.*` and `num_batches_tracked` may be absent (without fc the logits mean nothing).
  /// Throws Error for a missing key, an unknown one or a wrong shape; `where` names the file.
  void load_state(const std::map<std::string, Tensor>& weights, const std::string& where);
  /// Folds every batch norm into its convolution, once weights and device stand: the same features but for rounding,
  /// faster. In bf16 convolutions and pools are computed in it; means over space and logits are float32 anyway.
  void fold(at::ScalarType type = at::kFloat);
  /// After fold, on a CPU: lays out weights for batches of `count` images (others work, too), which takes as long as
  /// such a batch. Not to be called while other threads use the network.
  void pack(int64_t count);

 private:
  bool folded_ = false;
  at::ScalarType type_ = at::kFloat;  // of folded weights
  BasicConv2d conv_1a_, conv_2a_, conv_2b_, conv_3b_, conv_4a_;
  InceptionA mixed_5b_, mixed_5c_, mixed_5d_;
  InceptionB mixed_6a_;
  InceptionC mixed_6b_, mixed_6c_, mixed_6d_, mixed_6e_;
  InceptionD mixed_7a_;
  InceptionE mixed_7b_, mixed_7c_;
  torch::nn::Linear fc_;
};
TORCH_MODULE(FidInception);

/// uint8 [N, 3, H, W] -> float [N, 3, 299, 299], as pytorch-fid does: values in [0, 1], half-pixel bilinear, then 2x
/// - 1.
Tensor inception_input_pytorch_fid(const Tensor& images);
/// As torch-fidelity and the ADM evaluator do: TF1 bilinear on 0..255, then (x - 128) / 128. Features differ in the
/// second digit: never compare distances across front ends.
Tensor inception_input_tf1(const Tensor& images);

}  // namespace sdg::vision
