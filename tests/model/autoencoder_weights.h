#pragma once
// Names and shapes of public autoencoders, written down from taesd 5cccb12 and diffusers 0.35.2, and weights for them.
#include <torch/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sdg/core/rng.h"

namespace sdg::test {

using Weights = std::map<std::string, at::Tensor>;
using MakeTensor = std::function<at::Tensor(const std::string& name, at::IntArrayRef shape)>;

/// Deterministic values of about the size that keeps activations near 1.
inline at::Tensor random_entry(const std::string& name, at::IntArrayRef shape) {
  const auto x = rng::normal({rng::hash(name), rng::Purpose::kTest, 0}, {0}, shape)[0];
  if (shape.size() > 1) return x / std::sqrt(static_cast<double>(x.numel()) / static_cast<double>(shape[0]));
  return name.ends_with("weight") ? 1 + 0.1 * x : 0.1 * x;
}

inline at::Tensor meta_entry(const std::string&, at::IntArrayRef shape) {
  return at::empty(shape, at::TensorOptions().device(at::kMeta));
}

struct KlSizes {
  std::vector<int64_t> channels{128, 256, 512, 512};
  int64_t layers = 2, latent = 4;
};

/// diffusers' new names.
inline Weights kl_weights(const KlSizes& sizes, const MakeTensor& make = random_entry) {
  Weights out;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    out[name + ".weight"] = make(name + ".weight", shape);
    out[name + ".bias"] = make(name + ".bias", {shape[0]});
  };
  const auto res = [&](const std::string& name, int64_t in, int64_t to) {
    add(name + ".norm1", {in});
    add(name + ".conv1", {to, in, 3, 3});
    add(name + ".norm2", {to});
    add(name + ".conv2", {to, to, 3, 3});
    if (in != to) add(name + ".conv_shortcut", {to, in, 1, 1});
  };
  const auto middle = [&](const std::string& name, int64_t d) {
    res(name + ".resnets.0", d, d);
    res(name + ".resnets.1", d, d);
    add(name + ".attentions.0.group_norm", {d});
    for (const std::string map : {"to_q", "to_k", "to_v", "to_out.0"}) add(name + ".attentions.0." + map, {d, d});
  };
  const auto& c = sizes.channels;
  const auto n = static_cast<int64_t>(c.size());
  const int64_t deepest = c.back();
  add("encoder.conv_in", {c[0], 3, 3, 3});
  int64_t width = c[0];
  for (int64_t i = 0; i < n; ++i) {
    const std::string level = "encoder.down_blocks." + std::to_string(i);
    for (int64_t j = 0; j < sizes.layers; ++j) {
      res(level + ".resnets." + std::to_string(j), width, c[static_cast<size_t>(i)]);
      width = c[static_cast<size_t>(i)];
    }
    if (i + 1 < n) add(level + ".downsamplers.0.conv", {width, width, 3, 3});
  }
  middle("encoder.mid_block", deepest);
  add("encoder.conv_norm_out", {deepest});
  add("encoder.conv_out", {2 * sizes.latent, deepest, 3, 3});
  add("quant_conv", {2 * sizes.latent, 2 * sizes.latent, 1, 1});
  add("post_quant_conv", {sizes.latent, sizes.latent, 1, 1});
  add("decoder.conv_in", {deepest, sizes.latent, 3, 3});
  middle("decoder.mid_block", deepest);
  for (int64_t i = 0; i < n; ++i) {
    const std::string level = "decoder.up_blocks." + std::to_string(i);
    const int64_t to = c[static_cast<size_t>(n - 1 - i)];
    for (int64_t j = 0; j <= sizes.layers; ++j) {
      res(level + ".resnets." + std::to_string(j), width, to);
      width = to;
    }
    if (i + 1 < n) add(level + ".upsamplers.0.conv", {width, width, 3, 3});
  }
  add("decoder.conv_norm_out", {width});
  add("decoder.conv_out", {3, width, 3, 3});
  return out;
}

struct TaesdSizes {
  int64_t width = 64, latent = 4, blocks = 3, stages = 3;
  bool pool = false;
};

class TaesdWriter {
 public:
  TaesdWriter(std::string prefix, const MakeTensor& make) : prefix_(std::move(prefix)), make_(make) {}
  void conv(int64_t in, int64_t to, bool bias) {
    add("weight", {to, in, 3, 3});
    if (bias) add("bias", {to});
    ++index_;
  }
  void block(int64_t d, bool pool = false) {
    for (const std::string i : {"0", "2", "4"}) {
      add("conv." + i + ".weight", {d, d, 3, 3});
      add("conv." + i + ".bias", {d});
    }
    if (pool) {
      add("pool.0.weight", {4 * d, d, 1, 1});
      add("pool.1.weight", {4 * d});
      add("pool.1.bias", {4 * d});
      add("pool.3.weight", {d, 4 * d, 1, 1});
    }
    ++index_;
  }
  void gap() { ++index_; }
  Weights done() { return std::move(out_); }

 private:
  void add(const std::string& name, std::vector<int64_t> shape) {
    const std::string key = prefix_ + std::to_string(index_) + "." + name;
    out_[key] = make_(key, shape);
  }
  std::string prefix_;
  const MakeTensor& make_;
  int64_t index_ = 0;
  Weights out_;
};

/// The public encoder file, names N.*.
inline Weights taesd_encoder(const TaesdSizes& sizes, const MakeTensor& make = random_entry,
                             const std::string& prefix = "") {
  TaesdWriter writer(prefix, make);
  const int64_t d = sizes.width;
  writer.conv(3, d, true);
  writer.block(d);
  for (int64_t stage = 0; stage < sizes.stages; ++stage) {
    writer.conv(d, d, false);
    for (int64_t i = 0; i < sizes.blocks; ++i) writer.block(d, sizes.pool && stage + 1 == sizes.stages);
  }
  writer.conv(d, sizes.latent, true);
  return writer.done();
}

inline Weights taesd_decoder(const TaesdSizes& sizes, const MakeTensor& make = random_entry,
                             const std::string& prefix = "") {
  TaesdWriter writer(prefix, make);
  const int64_t d = sizes.width;
  writer.gap();
  writer.conv(sizes.latent, d, true);
  writer.gap();
  for (int64_t stage = 0; stage < sizes.stages; ++stage) {
    for (int64_t i = 0; i < sizes.blocks; ++i) writer.block(d, sizes.pool && stage == 0);
    writer.gap();
    writer.conv(d, d, false);
  }
  writer.block(d);
  writer.conv(d, 3, true);
  return writer.done();
}

/// Both, as encoder.N.* and decoder.N.*.
inline Weights taesd_weights(const TaesdSizes& sizes, const MakeTensor& make = random_entry) {
  auto out = taesd_encoder(sizes, make, "encoder.");
  out.merge(taesd_decoder(sizes, make, "decoder."));
  return out;
}

}  // namespace sdg::test
