#include "sdg/model/unet_trunk.h"

#include <algorithm>
#include <cmath>

#include "model/feature_taps.h"
#include "sdg/core/error.h"
#include "sdg/nn/checkpoint.h"
#include "sdg/nn/init.h"

namespace sdg::model {
namespace {

constexpr int64_t kGroups = 32;
constexpr double kNormEps = 1e-5;

int64_t level_width(const UNetOptions& o, size_t level) {
  return static_cast<int64_t>(o.levels[level] * static_cast<double>(o.width));
}

// Of a weight [out, in, …]: how many numbers go into one of its answers.
double inputs_of(const Tensor& weight) {
  const auto inputs = weight.numel() / weight.size(0);
  return static_cast<double>(inputs);
}

// Makes the layers of the blocks; the widths are all it needs to know.
class LayerMaker {
 public:
  LayerMaker(const UNetOptions& options, const UNetWidths& widths, const at::TensorOptions& where)
      : o_(options), widths_(widths), where_(where) {}

  ResBlock res_block(int64_t in, int64_t out, Resample how = Resample::kNone) const {
    return ResBlock(ResBlockOptions{.in = in,
                                    .out = out,
                                    .embedding = widths_.embedding,
                                    .scale_shift = o_.scale_shift,
                                    .how = how,
                                    .dropout = o_.dropout},
                    where_);
  }
  void attention(UNetBlock& block, int64_t channels, bool on_the_way_up) const {
    auto heads = on_the_way_up && o_.up_heads > 0 && widths_.context == 0 ? o_.up_heads : o_.heads;
    if (o_.head_channels > 0) heads = channels / o_.head_channels;
    if (widths_.context > 0) {
      block->add(ContextAttention(channels, heads, channels / heads, widths_.context, where_));
    } else {
      block->add(PixelAttention(channels, heads, o_.new_attention_order, where_));
    }
  }
  void resample(UNetBlock& block, int64_t channels, Resample how) const {
    if (o_.resblock_updown) {
      block->add(res_block(channels, channels, how));
    } else {
      block->add(ResampleConv(channels, how, o_.conv_resample, where_));
    }
  }
  bool attends(int64_t factor) const {
    return std::find(o_.attention_at.begin(), o_.attention_at.end(), factor) != o_.attention_at.end();
  }

 private:
  const UNetOptions& o_;
  const UNetWidths& widths_;
  const at::TensorOptions& where_;
};

}  // namespace

void check(const UNetOptions& o, const std::string& who) {
  SDG_CHECK_USAGE(!o.levels.empty() && o.res_blocks > 0 && o.channels > 0, who,
                  ": levels, residual blocks and channels must be at least 1, got ", o.levels.size(), ", ",
                  o.res_blocks, " and ", o.channels);
  const auto factor = int64_t{1} << (o.levels.size() - 1);
  SDG_CHECK_USAGE(o.size > 0 && o.size % factor == 0, who, ": ", o.levels.size(),
                  " levels need a side that is a multiple of ", factor, ", got ", o.size);
  for (size_t level = 0; level < o.levels.size(); ++level) {
    const auto width = level_width(o, level);
    SDG_CHECK_USAGE(width > 0 && width % kGroups == 0, who, ": the width of every level must be a multiple of ",
                    kGroups, ", got ", width, " at level ", level);
    SDG_CHECK_USAGE(o.head_channels == 0 || width % o.head_channels == 0, who, ": width ", width,
                    " cannot be cut into heads of ", o.head_channels);
  }
  SDG_CHECK_USAGE(o.head_channels > 0 || o.heads > 0, who, ": heads must be at least 1, got ", o.heads);
  SDG_CHECK_USAGE(o.dropout >= 0 && o.dropout < 1, who, ": dropout must lie in [0, 1), got ", o.dropout);
}

Tensor UNetBlockImpl::forward(const Tensor& input, const UNetSignal& signal) const {
  auto x = input;
  for (const auto& layer : layers_) x = layer->forward(x, signal);
  return x;
}

UNetTrunk::UNetTrunk(torch::nn::Module& owner, const UNetOptions& options, const UNetWidths& widths,
                     const at::TensorOptions& where)
    : options_(options) {
  const auto& o = options_;
  const LayerMaker make(o, widths, where);
  std::vector<int64_t> skips;  // widths of the outputs that wait for the way up
  auto side = o.size, channels = level_width(o, 0), factor = int64_t{1};

  auto& inputs = nn::add_scope(owner, "input_blocks");
  const auto add_input = [&](const UNetBlock& block) {
    inputs.register_module(std::to_string(blocks_.size()), block);
    finish(block, channels, side);
    skips.push_back(channels);
  };
  UNetBlock stem;
  stem->add(UNetConv(widths.input, channels, where));
  add_input(stem);
  for (size_t level = 0; level < o.levels.size(); ++level) {
    for (int64_t i = 0; i < o.res_blocks; ++i) {
      UNetBlock block;
      block->add(make.res_block(channels, level_width(o, level)));
      channels = level_width(o, level);
      if (make.attends(factor)) make.attention(block, channels, false);
      add_input(block);
    }
    if (level + 1 == o.levels.size()) break;
    UNetBlock down;
    make.resample(down, channels, Resample::kDown);
    factor *= 2;
    add_input(down);
  }

  UNetBlock middle;
  middle->add(make.res_block(channels, channels));
  make.attention(middle, channels, false);
  middle->add(make.res_block(channels, channels));
  owner.register_module("middle_block", middle);
  finish(middle, channels, side);

  auto& outputs = nn::add_scope(owner, "output_blocks");
  for (size_t level = o.levels.size(), index = 0; level-- > 0;) {
    for (int64_t i = 0; i <= o.res_blocks; ++i) {
      UNetBlock block;
      block->add(make.res_block(channels + skips.back(), level_width(o, level)));
      skips.pop_back();
      channels = level_width(o, level);
      if (make.attends(factor)) make.attention(block, channels, true);
      if (level > 0 && i == o.res_blocks) {
        make.resample(block, channels, Resample::kUp);
        factor /= 2;
      }
      outputs.register_module(std::to_string(index++), block);
      finish(block, channels, side);
    }
  }
  auto& out = nn::add_scope(owner, "out");
  out_norm_ = out.register_module("0", nn::GroupNorm(kGroups, channels, kNormEps, where));
  out_conv_ = out.register_module("2", nn::Conv2d(channels, o.learn_sigma ? 2 * o.channels : o.channels, 3, where));
  macs_ += side * side * out_conv_->weight.numel();
  if (o.inner >= 0) add_inner_head(owner, where);

  for (const auto& module : owner.named_modules("", /*include_self=*/false))
    if (auto* res_block = dynamic_cast<ResBlockImpl*>(module.value().get())) res_block->set_name(module.key());
}

void UNetTrunk::add_inner_head(torch::nn::Module& owner, const at::TensorOptions& where) {
  const auto& o = options_;
  SDG_CHECK_USAGE(o.inner < blocks() - 1, "guided.inner: the inner head must stand before the last of the blocks 0 to ",
                  blocks() - 1, ", got ", o.inner);
  const auto [channels, side] = shapes_[static_cast<size_t>(o.inner)];
  const auto square = (o.size / side) * (o.size / side);
  auto& inner = nn::add_scope(owner, "inner_head");
  inner_norm_ = inner.register_module("norm", nn::GroupNorm(kGroups, channels, kNormEps, where));
  inner_conv_ = inner.register_module("conv", nn::Conv2d(channels, o.channels * square, 3, where));
  macs_ += side * side * inner_conv_->weight.numel();
}

// Takes note of what a block that was just built will put out.
void UNetTrunk::finish(const UNetBlock& block, int64_t channels, int64_t& side) {
  for (const auto& layer : block->layers()) {
    macs_ += layer->macs(side);
    side = layer->out_side(side);
  }
  blocks_.push_back(block);
  shapes_.push_back({channels, side});
}

int64_t UNetTrunk::feature_tokens(int64_t depth) const {
  const auto side = shapes_.at(static_cast<size_t>(depth)).side;
  return side * side;
}

const std::vector<std::shared_ptr<UNetLayer>>& UNetTrunk::layers(int64_t depth) const {
  return blocks_.at(static_cast<size_t>(depth))->layers();
}

ForwardOutput UNetTrunk::forward(const Tensor& x, const UNetSignal& signal, const ForwardOptions& options) const {
  const FeatureTaps taps(options, blocks(), "U-Net");
  const auto run = [&](const UNetBlock& block, const Tensor& h) {
    if (!options_.activation_checkpointing) return block->forward(h, signal);
    const auto piece = [block, dropout = signal.dropout](const std::vector<Tensor>& in) {
      return block->forward(in[0], {in[1], in.size() > 2 ? in[2] : Tensor(), dropout});
    };
    std::vector<Tensor> inputs{h, signal.silu_embedding};
    if (signal.context.defined()) inputs.push_back(signal.context);
    return nn::checkpoint(piece, inputs, block->parameters());
  };
  ForwardOutput out;
  std::vector<Tensor> skips;
  auto h = x;
  for (int64_t depth = 0; depth < blocks(); ++depth) {
    if (depth > middle()) {
      h = at::cat({h, skips.back()}, 1);
      skips.pop_back();
    }
    h = run(blocks_[static_cast<size_t>(depth)], h);  // [N, C_depth, S_depth, S_depth]
    if (depth < middle()) skips.push_back(h);
    if (options.inner && depth == options_.inner) {
      const auto squares = inner_conv_->forward(at::silu(inner_norm_->forward(h)));  // [N, C * P * P, S / P, S / P]
      out.inner = at::pixel_shuffle(squares, options_.size / h.size(2));             // [N, C, S, S]
    }
    const auto tokens = [&] { return h.flatten(2).transpose(1, 2).contiguous(); };  // [N, T, D]
    if (taps.take(depth, tokens, out)) return out;
  }
  out.prediction = out_conv_->forward(at::silu(out_norm_->forward(h)));
  return out;
}

void initialize_unet(torch::nn::Module& net, uint64_t seed) {
  const nn::Initializer init(seed);
  const auto parameters = net.named_parameters();
  for (const auto& item : parameters) {
    const auto& name = item.key();
    const auto& value = item.value();
    const auto base = name.substr(0, name.rfind('.'));
    const bool starts_at_zero =
        base.ends_with("out_layers.3") || base.ends_with("proj_out") || base == "out.2" || base == "inner_head.conv";
    const bool says_nothing_at_first =
        name.starts_with("strength_embed.2") || name == "null_cond_emb" || name == "null_layout_emb";
    if (starts_at_zero || says_nothing_at_first) {
      nn::Initializer::constant(value, 0);
    } else if (name == "label_emb.weight" || name.ends_with("null_kv")) {
      init.normal(value, name, 1);
    } else if (name.ends_with("_embed")) {
      init.normal(value, name, 0.02);
    } else if (value.dim() == 1 && !name.ends_with(".bias")) {
      nn::Initializer::constant(value, 1);  // weight or gamma of a norm
    } else if (value.dim() > 1) {
      init.uniform(value, name, 1 / std::sqrt(inputs_of(value)));
    } else {
      const auto& weight = parameters[base + ".weight"];
      if (weight.dim() == 1) {
        nn::Initializer::constant(value, 0);
      } else {
        init.uniform(value, name, 1 / std::sqrt(inputs_of(weight)));
      }
    }
  }
}

}  // namespace sdg::model
