#include "sdg/model/autoencoder_kl.h"

#include <optional>
#include <vector>

#include "model/weight_reader_impl.h"
#include "sdg/core/error.h"

namespace sdg::model {
namespace {

constexpr double kEps = 1e-6;

struct Conv {
  Tensor weight, bias;

  int64_t out() const { return weight.size(0); }
  Tensor operator()(const Tensor& x) const { return at::conv2d(x, weight, bias, 1, weight.size(-1) / 2); }
  // Halves the size; the padding is one row below and one column to the right.
  Tensor halve(const Tensor& x) const { return at::conv2d(at::constant_pad_nd(x, {0, 1, 0, 1}), weight, bias, 2); }
};

struct Norm {
  Tensor weight, bias;
  int64_t groups = 32;

  Tensor operator()(const Tensor& x) const { return at::group_norm(x, groups, weight, bias, kEps); }
  Tensor then_silu(const Tensor& x) const {
    Tensor y = (*this)(x);
    return at::silu_(y);
  }
};

struct ResidualBlock {
  Norm norm1, norm2;
  Conv conv1, conv2;
  std::optional<Conv> shortcut;

  Tensor operator()(const Tensor& x) const {
    const Tensor y = conv1(norm1.then_silu(x));
    return conv2(norm2.then_silu(y)).add_(shortcut ? (*shortcut)(x) : x);
  }
};

// One head over all places, as wide as the feature map.
struct AttentionBlock {
  Norm norm;
  Conv q, k, v, out;  // matrices [D, D] and biases

  Tensor operator()(const Tensor& x) const {
    const auto tokens = norm(x).flatten(2).transpose(1, 2);  // [N, T, D]
    const auto head = [&](const Conv& map) {
      return at::linear(tokens, map.weight, map.bias).unsqueeze(1);  // [N, 1, T, D]
    };
    const auto mixed = at::scaled_dot_product_attention(head(q), head(k), head(v)).squeeze(1);  // [N, T, D]
    return x + at::linear(mixed, out.weight, out.bias).transpose(1, 2).reshape(x.sizes());      // [N, D, h, w]
  }
};

struct Middle {
  ResidualBlock first, second;
  std::optional<AttentionBlock> attention;

  Tensor operator()(const Tensor& x) const {
    const Tensor y = first(x);
    return second(attention ? (*attention)(y) : y);
  }
};

// Each residual block is followed by attention, or none is.
struct Level {
  std::vector<ResidualBlock> blocks;
  std::vector<AttentionBlock> attentions;
  std::optional<Conv> resample;

  Tensor run(Tensor x) const {
    for (size_t j = 0; j < blocks.size(); ++j) {
      x = blocks[j](x);
      if (!attentions.empty()) x = attentions[j](x);
    }
    return x;
  }
};

// Encoder: in, levels, middle, norm, out. Decoder: in, middle, levels, norm, out.
struct Half {
  Conv in, out;
  std::vector<Level> levels;
  Middle middle;
  Norm norm;
  std::optional<Conv> quant;  // 1x1, after the encoder or before the decoder

  int64_t factor() const {
    int64_t factor = 1;
    for (const auto& level : levels) factor *= level.resample ? 2 : 1;
    return factor;
  }
};

// Reads parts in the order of computation, following the width.
class Builder {
 public:
  Builder(WeightReader& reader, int64_t groups) : reader_(reader), groups_(groups) {}

  Half encoder() {
    Half half;
    half.in = conv("encoder.conv_in", 3);
    levels(half, "encoder.down_blocks.", ".downsamplers.0.conv");
    half.middle = middle("encoder.mid_block");
    half.norm = norm("encoder.conv_norm_out");
    half.out = conv("encoder.conv_out", 3);
    if (reader_.has_below("quant_conv.")) half.quant = conv("quant_conv", 1);
    return half;
  }

  Half decoder() {
    Half half;
    width_ = -1;
    if (reader_.has_below("post_quant_conv.")) half.quant = conv("post_quant_conv", 1);
    half.in = conv("decoder.conv_in", 3);
    half.middle = middle("decoder.mid_block");
    levels(half, "decoder.up_blocks.", ".upsamplers.0.conv");
    half.norm = norm("decoder.conv_norm_out");
    half.out = conv("decoder.conv_out", 3);
    return half;
  }

 private:
  Conv conv(const std::string& name, int64_t kernel) {
    Conv conv;
    conv.weight = reader_.take(name + ".weight", {-1, width_, kernel, kernel});
    conv.bias = reader_.take(name + ".bias", {conv.weight.size(0)});
    width_ = conv.out();
    return conv;
  }

  Norm norm(const std::string& name) {
    SDG_CHECK(width_ % groups_ == 0, reader_.where(), ": ", name, " has ", width_, " channels, no multiple of ",
              groups_, " groups (norm_num_groups)");
    return {reader_.take(name + ".weight", {width_}), reader_.take(name + ".bias", {width_}), groups_};
  }

  ResidualBlock block(const std::string& name) {
    ResidualBlock block;
    const int64_t in = width_;
    block.norm1 = norm(name + ".norm1");
    block.conv1 = conv(name + ".conv1", 3);
    block.norm2 = norm(name + ".norm2");
    block.conv2 = conv(name + ".conv2", 3);
    const int64_t out = width_;
    if (in == out && !reader_.has_below(name + ".conv_shortcut.")) return block;
    width_ = in;
    block.shortcut = conv(name + ".conv_shortcut", 1);
    SDG_CHECK(width_ == out, reader_.where(), ": ", name, ".conv_shortcut gives ", width_, " channels, conv2 ", out);
    return block;
  }

  Conv linear(const std::string& name) {
    return {reader_.take(name + ".weight", {width_, width_}), reader_.take(name + ".bias", {width_})};
  }

  AttentionBlock attention(const std::string& name) {
    AttentionBlock block;
    block.norm = norm(name + ".group_norm");
    block.q = linear(name + ".to_q");
    block.k = linear(name + ".to_k");
    block.v = linear(name + ".to_v");
    block.out = linear(name + ".to_out.0");
    return block;
  }

  Middle middle(const std::string& name) {
    Middle middle;
    middle.first = block(name + ".resnets.0");
    if (reader_.has_below(name + ".attentions.0.")) middle.attention = attention(name + ".attentions.0");
    middle.second = block(name + ".resnets.1");
    return middle;
  }

  void levels(Half& half, const std::string& prefix, const std::string& resample) {
    const int64_t count = reader_.count_below(prefix);
    SDG_CHECK(count > 0, reader_.where(), ": these weights do not fit the network: nothing below ", prefix, "0");
    for (int64_t i = 0; i < count; ++i) {
      const std::string name = cat(prefix, i);
      Level level;
      const int64_t blocks = reader_.count_below(name + ".resnets.");
      const bool attends = reader_.has_below(name + ".attentions.");
      for (int64_t j = 0; j < blocks; ++j) {
        level.blocks.push_back(block(cat(name, ".resnets.", j)));
        if (attends) level.attentions.push_back(attention(cat(name, ".attentions.", j)));
      }
      if (reader_.has_below(name + resample)) level.resample = conv(name + resample, 3);
      // Pooling without weights would look like this too, and the size of the images would be wrong.
      SDG_CHECK(level.resample || i + 1 == count, reader_.where(), ": level ", name,
                " changes the size without a convolution, which is not known here: no tensor below ", name, resample);
      half.levels.push_back(std::move(level));
    }
  }

  WeightReader& reader_;
  int64_t groups_;
  int64_t width_ = -1;
};

}  // namespace

struct AutoencoderKl::Parts {
  std::optional<Half> encoder, decoder;
};

AutoencoderKl::AutoencoderKl(const std::map<std::string, Tensor>& weights, int64_t norm_groups,
                             const LatentSpace& space, const at::Device& device, const std::string& where)
    : parts_(std::make_unique<Parts>()) {
  space_ = space;
  WeightReader reader(weights, device, where);
  Builder builder(reader, norm_groups);
  if (reader.has_below("encoder.")) {
    const auto& half = parts_->encoder.emplace(builder.encoder());
    const int64_t rows = (half.quant ? *half.quant : half.out).out();
    SDG_CHECK(rows % 2 == 0, where, ": the encoder gives ", rows,
              " channels, expected mean and logvar, an even number");
    space_.channels = rows / 2;
    space_.image_channels = half.in.weight.size(1);
    space_.factor = half.factor();
  }
  if (reader.has_below("decoder.")) {
    const auto& half = parts_->decoder.emplace(builder.decoder());
    const int64_t channels = (half.quant ? *half.quant : half.in).weight.size(1);
    SDG_CHECK(!has_encoder() || (channels == space_.channels && half.factor() == space_.factor), where,
              ": the encoder gives ", space_.channels, " channels at 1/", space_.factor, ", the decoder takes ",
              channels, " at 1/", half.factor());
    space_.channels = channels;
    space_.image_channels = half.out.out();
    space_.factor = half.factor();
  }
  reader.expect_all_taken();
  SDG_CHECK(has_encoder() || has_decoder(), where, ": holds neither an encoder nor a decoder");
  parameters_ = reader.elements();
  encoder_id_ = has_encoder() ? weights_id(weights, {"encoder.", "quant_conv."}) : "";
  decoder_id_ = has_decoder() ? weights_id(weights, {"decoder.", "post_quant_conv."}) : "";
}

AutoencoderKl::~AutoencoderKl() = default;

bool AutoencoderKl::has_encoder() const {
  return parts_->encoder.has_value();
}
bool AutoencoderKl::has_decoder() const {
  return parts_->decoder.has_value();
}

Tensor AutoencoderKl::moments(const Tensor& images) const {
  check_images(images);
  const Half& half = *parts_->encoder;
  Tensor x = half.in(images.contiguous(at::MemoryFormat::ChannelsLast));
  for (const auto& level : half.levels) {
    x = level.run(x);
    if (level.resample) x = level.resample->halve(x);
  }
  x = half.out(half.norm.then_silu(half.middle(x)));  // [N, 2C, h, w]
  return (half.quant ? (*half.quant)(x) : x).contiguous();
}

LatentDistribution AutoencoderKl::encode(const Tensor& images) const {
  return distribution_of_moments(moments(images));
}

Tensor AutoencoderKl::decode(const Tensor& raw) const {
  check_raw(raw);
  const Half& half = *parts_->decoder;
  const Tensor z = raw.contiguous(at::MemoryFormat::ChannelsLast);
  Tensor x = half.middle(half.in(half.quant ? (*half.quant)(z) : z));
  for (const auto& level : half.levels) {
    x = level.run(x);
    if (level.resample) x = (*level.resample)(at::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2}));
  }
  return half.out(half.norm.then_silu(x)).contiguous();  // [N, 3, H, W]
}

LatentDistribution distribution_of_moments(const Tensor& moments) {
  const auto halves = moments.chunk(2, 1);
  return {halves[0], halves[1].clamp(-30, 20)};
}

}  // namespace sdg::model
