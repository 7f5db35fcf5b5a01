#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sdg/model/unet_layers.h"

namespace sdg::model {

/// Shape and switches of a U-Net, under the meaning of guided-diffusion's flags.
struct UNetOptions {
  int64_t size = 64;                        ///< side of the input, S, a multiple of 2^(levels - 1)
  int64_t channels = 3;                     ///< C
  bool learn_sigma = false;                 ///< predict C further channels, the variances of public checkpoints
  int64_t width = 128;                      ///< model_channels; a multiple of 32
  std::vector<double> levels = {1, 2, 4};   ///< channel_mult: width of each level in units of `width`
  int64_t res_blocks = 2;                   ///< num_res_blocks a level on the way down, one more on the way up
  std::vector<int64_t> attention_at = {4};  ///< downsampling factors with attention; the middle always has it
  int64_t heads = 4;                        ///< attention heads, unless head_channels is set
  int64_t up_heads = 0;                     ///< heads on the way up; 0 as on the way down
  int64_t head_channels = 0;                ///< width of a head; 0 takes `heads`
  bool new_attention_order = false;         ///< see PixelAttention
  bool scale_shift = true;                  ///< use_scale_shift_norm
  bool resblock_updown = true;              ///< resample inside of ResBlocks, instead of by layers of their own
  bool conv_resample = true;                ///< those layers have a convolution
  double dropout = 0;
  bool activation_checkpointing =
      false;           ///< keep only block inputs for the backward pass: less memory, a third more time
  int64_t inner = -1;  ///< block after which inner_head predicts too; -1: none
};

/// Widths that the network around the trunk decides.
struct UNetWidths {
  int64_t input = 3;      ///< channels of the input with what is joined to it
  int64_t embedding = 0;  ///< E
  int64_t context = 0;    ///< width of context tokens; > 0 makes every attention a ContextAttention
};

/// One entry of input_blocks, middle_block or output_blocks: layers that run one after another, named 0, 1, …
class UNetBlockImpl : public torch::nn::Module {
 public:
  template <class Layer>
  void add(Layer layer) {
    layers_.push_back(register_module(std::to_string(layers_.size()), std::move(layer)));
  }
  Tensor forward(const Tensor& x, const UNetSignal& signal) const;
  const std::vector<std::shared_ptr<UNetLayer>>& layers() const { return layers_; }

 private:
  std::vector<std::shared_ptr<UNetLayer>> layers_;
};
TORCH_MODULE(UNetBlock);

/// The part that ADM's and Self-Guided Diffusion's U-Nets share: input_blocks, middle_block, output_blocks and out,
/// registered in the network that holds it, so that the state-dict names are the public ones. Blocks are numbered in
/// order of computation: input_blocks, the middle one, output_blocks. inner_head.{norm,conv} are ours: as `out`, and
/// where the block's output has fewer places than the image, each place predicts its square of pixels.
class UNetTrunk {
 public:
  UNetTrunk(torch::nn::Module& owner, const UNetOptions& options, const UNetWidths& widths,
            const at::TensorOptions& where);

  /// x [N, C', S, S] -> prediction [N, C or 2C, S, S] (all channels), features and inner [N, C, S, S] as asked for.
  ForwardOutput forward(const Tensor& x, const UNetSignal& signal, const ForwardOptions& options) const;

  int64_t blocks() const { return static_cast<int64_t>(blocks_.size()); }
  int64_t middle() const { return static_cast<int64_t>(shapes_.size() / 2); }  ///< number of the middle block
  int64_t feature_dim(int64_t depth) const { return shapes_.at(static_cast<size_t>(depth)).channels; }
  int64_t feature_tokens(int64_t depth) const;
  int64_t macs() const { return macs_; }
  /// The layers of block `depth`, first to last.
  const std::vector<std::shared_ptr<UNetLayer>>& layers(int64_t depth) const;

 private:
  struct Shape {
    int64_t channels, side;
  };
  void finish(const UNetBlock& block, int64_t channels, int64_t& side);
  void add_inner_head(torch::nn::Module& owner, const at::TensorOptions& where);

  UNetOptions options_;
  std::vector<UNetBlock> blocks_;
  std::vector<Shape> shapes_;  // of the outputs of blocks_
  nn::GroupNorm out_norm_{nullptr}, inner_norm_{nullptr};
  nn::Conv2d out_conv_{nullptr}, inner_conv_{nullptr};
  int64_t macs_ = 0;
};

/// Throws UsageError for options that make no network; `who` begins the message.
void check(const UNetOptions& options, const std::string& who);

/// Initial weights as in the public code, as a function of (seed, parameter name): PyTorch's for convolutions and
/// linear maps, N(0, 1) for tables, and zero for the last convolution of each residual branch and of the network, so
/// that it predicts zero.
void initialize_unet(torch::nn::Module& net, uint64_t seed);

}  // namespace sdg::model
