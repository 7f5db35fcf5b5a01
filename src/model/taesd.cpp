#include "sdg/model/taesd.h"

#include "model/weight_reader_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/whole_number.h"

namespace sdg::model {
namespace {

constexpr int64_t kPoolGroups = 4;
constexpr double kPoolEps = 1e-5;

struct Conv {
  Tensor weight, bias;  // bias may be undefined
  int64_t stride = 1;

  Tensor operator()(const Tensor& x) const { return at::conv2d(x, weight, bias, stride, weight.size(-1) / 2); }
};

Conv take_conv(WeightReader& reader, const std::string& name, int64_t in, int64_t kernel, bool with_bias) {
  Conv conv;
  conv.weight = reader.take(name + ".weight", {-1, in, kernel, kernel});
  if (with_bias) conv.bias = reader.take(name + ".bias", {conv.weight.size(0)});
  return conv;
}

// ReLU(conv(x) + skip(x)), where x first gets its pool branch if there is one.
struct Block {
  Conv convs[3], skip, pool_in, pool_out;
  Tensor pool_scale, pool_shift;

  Tensor operator()(const Tensor& input) const {
    Tensor x = input;
    if (pool_in.weight.defined()) {
      x = x + pool_out(at::group_norm(pool_in(x), kPoolGroups, pool_scale, pool_shift, kPoolEps).relu_());
    }
    const Tensor y = convs[2](convs[1](convs[0](x).relu_()).relu_());
    return y.add_(skip.weight.defined() ? skip(x) : x).relu_();
  }
};

Block take_block(WeightReader& reader, const std::string& name, int64_t in) {
  Block block;
  int64_t width = in;
  if (reader.has_below(name + ".pool.")) {
    block.pool_in = take_conv(reader, name + ".pool.0", in, 1, false);
    const int64_t inner = block.pool_in.weight.size(0);
    block.pool_scale = reader.take(name + ".pool.1.weight", {inner});
    block.pool_shift = reader.take(name + ".pool.1.bias", {inner});
    block.pool_out = take_conv(reader, name + ".pool.3", inner, 1, false);
  }
  for (int i = 0; i < 3; ++i) {
    block.convs[i] = take_conv(reader, cat(name, ".conv.", 2 * i), width, 3, true);
    width = block.convs[i].weight.size(0);
  }
  if (reader.has_below(name + ".skip.")) block.skip = take_conv(reader, name + ".skip", in, 1, false);
  SDG_CHECK(block.skip.weight.defined() || width == in, reader.where(), ": block ", name, " changes ", in,
            " channels to ", width, " and has no skip");
  return block;
}

// The index that a name begins with, or -1.
int64_t leading_index(std::string_view name) {
  const auto dot = name.find('.');
  return dot == std::string_view::npos ? -1 : whole_number(name.substr(0, dot)).value_or(-1);
}

}  // namespace

struct Taesd::Layer {
  enum class Kind { kConv, kBlock, kRelu, kUpsample, kClamp } kind;
  Conv conv{};
  Block block{};

  Tensor operator()(const Tensor& x) const {
    switch (kind) {
      case Kind::kConv:
        return conv(x);
      case Kind::kBlock:
        return block(x);
      case Kind::kRelu:
        return at::relu(x);
      case Kind::kUpsample:
        return at::upsample_nearest2d(x, {x.size(2) * 2, x.size(3) * 2});
      case Kind::kClamp:
        return at::tanh(x / 3).mul_(3);
    }
    return x;
  }
};

namespace {

using Layer = Taesd::Layer;
using Kind = Taesd::Layer::Kind;

int64_t last_index(const std::map<std::string, Tensor>& weights, const std::string& prefix) {
  int64_t last = -1;
  for (const auto& [name, tensor] : weights) {
    if (name.starts_with(prefix)) last = std::max(last, leading_index(std::string_view(name).substr(prefix.size())));
  }
  return last;
}

// Layers without weights leave gaps in the numbering. Encoder: a gap is the ReLU after a convolution that has a bias
// (and halves the size), and convolutions without one halve it too. Decoder: the first gap clamps, one after a
// convolution with bias is a ReLU, any other doubles the size.
std::vector<Layer> take_sequence(WeightReader& reader, const std::map<std::string, Tensor>& weights,
                                 const std::string& prefix, bool decoder) {
  std::vector<Layer> layers;
  const int64_t last = last_index(weights, prefix);
  int64_t width = -1;
  for (int64_t i = 0; i <= last; ++i) {
    const std::string name = cat(prefix, i);
    const bool after_biased_conv =
        !layers.empty() && layers.back().kind == Kind::kConv && layers.back().conv.bias.defined();
    if (reader.has_below(name + ".conv.")) {
      SDG_CHECK(width > 0, reader.where(), ": expected a convolution before block ", name);
      layers.push_back({Kind::kBlock, {}, take_block(reader, name, width)});
      width = layers.back().block.convs[2].weight.size(0);
    } else if (reader.has(name + ".weight")) {
      const bool biased = reader.has(name + ".bias");
      layers.push_back({Kind::kConv, take_conv(reader, name, width, 3, biased)});
      layers.back().conv.stride = !decoder && !biased ? 2 : 1;
      width = layers.back().conv.weight.size(0);
    } else if (decoder && i == 0) {
      layers.push_back({Kind::kClamp});
    } else if (after_biased_conv) {
      if (!decoder) layers.back().conv.stride = 2;
      layers.push_back({Kind::kRelu});
    } else {
      SDG_CHECK(decoder, reader.where(), ": expected a layer ", name);
      layers.push_back({Kind::kUpsample});
    }
  }
  return layers;
}

int64_t factor_of(const std::vector<Layer>& layers) {
  int64_t factor = 1;
  for (const auto& layer : layers) {
    if (layer.kind == Kind::kUpsample || (layer.kind == Kind::kConv && layer.conv.stride == 2)) factor *= 2;
  }
  return factor;
}

const Conv& first_conv(const std::vector<Layer>& layers) {
  for (const auto& layer : layers)
    if (layer.kind == Kind::kConv) return layer.conv;
  return layers.front().conv;
}

const Conv& last_conv(const std::vector<Layer>& layers, const std::string& where) {
  SDG_CHECK(layers.back().kind == Kind::kConv && layers.back().conv.bias.defined(), where,
            ": expected a convolution at the end of the sequence");
  return layers.back().conv;
}

Tensor run(const std::vector<Layer>& layers, Tensor x) {
  for (const auto& layer : layers) x = layer(x);
  return x;
}

}  // namespace

Taesd::Taesd(const std::map<std::string, Tensor>& weights, const LatentSpace& space, const at::Device& device,
             const std::string& where) {
  space_ = space;
  WeightReader reader(weights, device, where);
  encoder_ = take_sequence(reader, weights, "encoder.", false);
  decoder_ = take_sequence(reader, weights, "decoder.", true);
  reader.expect_all_taken();
  SDG_CHECK(has_encoder() || has_decoder(), where, ": holds neither an encoder nor a decoder");
  if (has_encoder()) {
    space_.channels = last_conv(encoder_, where).weight.size(0);
    space_.image_channels = first_conv(encoder_).weight.size(1);
    space_.factor = factor_of(encoder_);
  }
  if (has_decoder()) {
    const int64_t channels = first_conv(decoder_).weight.size(1), factor = factor_of(decoder_);
    SDG_CHECK(!has_encoder() || (channels == space_.channels && factor == space_.factor), where, ": the encoder gives ",
              space_.channels, " channels at 1/", space_.factor, ", the decoder takes ", channels, " at 1/", factor);
    space_.channels = channels;
    space_.image_channels = last_conv(decoder_, where).weight.size(0);
    space_.factor = factor;
  }
  parameters_ = reader.elements();
  encoder_id_ = weights_id(weights, {"encoder."});
  decoder_id_ = weights_id(weights, {"decoder."});
}

Taesd::~Taesd() = default;

bool Taesd::has_encoder() const {
  return !encoder_.empty();
}
bool Taesd::has_decoder() const {
  return !decoder_.empty();
}

LatentDistribution Taesd::encode(const Tensor& images) const {
  check_images(images);
  return {run(encoder_, images.contiguous(at::MemoryFormat::ChannelsLast).add(1).div_(2)).contiguous(), {}};
}

Tensor Taesd::decode(const Tensor& raw) const {
  check_raw(raw);
  return run(decoder_, raw.contiguous(at::MemoryFormat::ChannelsLast)).mul_(2).sub_(1).contiguous();
}

std::map<std::string, Tensor> taesd_canonical_names(const std::map<std::string, Tensor>& weights) {
  std::map<std::string, Tensor> out;
  // A decoder begins with a layer without weights.
  const bool bare_encoder = weights.contains("0.weight");
  for (const auto& [name, tensor] : weights) {
    if (leading_index(name) >= 0) {
      out[(bare_encoder ? "encoder." : "decoder.") + name] = tensor;
    } else if (const std::string tiny = "decoder.layers."; name.starts_with(tiny)) {
      const std::string rest = name.substr(tiny.size());
      const int64_t index = leading_index(rest);
      out[index < 0 ? name : cat("decoder.", index + 1, rest.substr(rest.find('.')))] = tensor;
    } else if (const std::string tiny_encoder = "encoder.layers."; name.starts_with(tiny_encoder)) {
      out["encoder." + name.substr(tiny_encoder.size())] = tensor;
    } else {
      out[name] = tensor;
    }
  }
  return out;
}

bool is_taesd(const std::map<std::string, Tensor>& weights) {
  for (const auto& [name, tensor] : taesd_canonical_names(weights)) {
    for (const std::string prefix : {"encoder.", "decoder."}) {
      if (name.starts_with(prefix) && leading_index(std::string_view(name).substr(prefix.size())) >= 0) return true;
    }
  }
  return false;
}

Tensor latents_to_unit(const Tensor& raw) {
  return raw.div(6).add_(0.5).clamp_(0, 1);
}

Tensor latents_from_unit(const Tensor& unit) {
  return unit.sub(0.5).mul_(6);
}

}  // namespace sdg::model
