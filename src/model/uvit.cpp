#include "sdg/model/uvit.h"

#include "model/feature_taps.h"
#include "model/strength_input.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/nn/checkpoint.h"
#include "sdg/nn/embed.h"
#include "sdg/nn/init.h"
#include "sdg/nn/rotary.h"

namespace sdg::model {
namespace {

constexpr double kNormEps = 1e-5;

nn::NormKind norm_kind(const UViTOptions& o) {
  return o.style.rms_norm ? nn::NormKind::kRms : nn::NormKind::kLayer;
}

void check(const UViTOptions& o) {
  SDG_CHECK_USAGE(o.size > 0 && o.patch > 0 && o.size % o.patch == 0,
                  "U-ViT: the input's side must be a multiple of the patch, got side ", o.size, " and patch ", o.patch);
  SDG_CHECK_USAGE(o.heads > 0 && o.dim % o.heads == 0, "U-ViT: the width must be a multiple of the heads, got width ",
                  o.dim, " and ", o.heads, " heads");
  SDG_CHECK_USAGE(o.depth >= 0 && o.channels > 0, "U-ViT: depth must be at least 0 and channels at least 1, got depth ",
                  o.depth, " and ", o.channels, " channels");
  SDG_CHECK_USAGE(o.condition != ConditionKind::kIndex || o.classes > 0,
                  "U-ViT: condition index needs at least one class, got ", o.classes);
  const auto blocks = 2 * (o.depth / 2) + 1;
  SDG_CHECK_USAGE(o.inner < blocks - 1, "guided.inner: the inner head must stand before the last of the blocks 0 to ",
                  blocks - 1, ", got ", o.inner);
  bool fits = o.condition == ConditionKind::kNone;
  if (o.layout == UViTLayout::kBaofff) fits |= o.condition == ConditionKind::kIndex;
  if (o.layout == UViTLayout::kSgfm)
    fits |= o.condition == ConditionKind::kIndex || o.condition == ConditionKind::kVector;
  if (o.layout == UViTLayout::kSgfmPatch) fits |= o.condition == ConditionKind::kPatchVector;
  SDG_CHECK_USAGE(fits, "U-ViT: this token layout cannot carry the condition ", config::name(o.condition));
}

int64_t hidden(const UViTOptions& o) {
  return static_cast<int64_t>(static_cast<double>(o.dim) * o.mlp_ratio);
}

std::vector<UViTBlock> add_blocks(torch::nn::Module& parent, const std::string& name, const UViTOptions& o,
                                  bool with_skip, const at::TensorOptions& where) {
  auto& list = nn::add_scope(parent, name);
  std::vector<UViTBlock> blocks;
  for (int64_t i = 0; i < o.depth / 2; ++i)
    blocks.push_back(list.register_module(std::to_string(i), UViTBlock(o, with_skip, where)));
  return blocks;
}

}  // namespace

UViTBlockImpl::UViTBlockImpl(const UViTOptions& o, bool with_skip, const at::TensorOptions& where) {
  norm1 = register_module("norm1", nn::LayerNorm(o.dim, kNormEps, where, norm_kind(o)));
  attn = register_module("attn", nn::Attention(o.dim, o.heads, o.qkv_bias, where, o.style.qk_norm, norm_kind(o)));
  norm2 = register_module("norm2", nn::LayerNorm(o.dim, kNormEps, where, norm_kind(o)));
  if (o.style.swiglu) {
    swiglu = register_module("mlp", nn::SwiGlu(o.dim, nn::swiglu_hidden(hidden(o)), where));
  } else {
    mlp = register_module("mlp", nn::Mlp(o.dim, hidden(o), nn::Gelu::kErf, where));
  }
  if (with_skip) skip_linear = register_module("skip_linear", nn::Linear(2 * o.dim, o.dim, true, where));
}

Tensor UViTBlockImpl::forward(const Tensor& input, const Tensor& skip, const Tensor& rotary) const {
  auto x = skip_linear ? skip_linear->forward(at::cat({input, skip}, 2)) : input;  // [N, T, D]
  x = x + attn->forward(norm1->forward(x), rotary);
  const auto normed = norm2->forward(x);
  return x + (swiglu ? swiglu->forward(normed) : mlp->forward(normed));
}

UViTImpl::UViTImpl(const UViTOptions& options, const at::TensorOptions& where) : options_(options) {
  check(options_);
  const auto& o = options_;
  const auto add_token = [&](const char* name) { return register_parameter(name, at::zeros({1, 1, o.dim}, where)); };
  pos_embed = register_parameter("pos_embed", at::zeros({1, extra_tokens() + patch_tokens(), o.dim}, where));
  if (o.layout != UViTLayout::kBaofff) {
    cls_token = add_token("cls_token");
    if (o.condition == ConditionKind::kVector || o.condition == ConditionKind::kPatchVector)
      null_cfg_embed = add_token("null_cfg_embed");
    if (o.condition != ConditionKind::kIndex) unconditional_embed = add_token("unconditional_embed");
  }
  if (o.style.rotary)
    rotary = register_buffer("rotary",
                             nn::rotary_table(o.dim / o.heads, o.size / o.patch, extra_tokens()).to(where.device()));
  patch_embed = register_module("patch_embed", nn::PatchEmbed(o.channels, o.patch, o.dim, where));
  if (o.mlp_time_embed) time_embed = register_module("time_embed", nn::TimeMlp(o.dim, 4 * o.dim, o.dim, where));
  if (o.condition == ConditionKind::kIndex)
    label_emb = register_module("label_emb", nn::Embedding(o.classes + (o.null_label ? 1 : 0), o.dim, where));
  in_blocks = add_blocks(*this, "in_blocks", o, false, where);
  mid_block = register_module("mid_block", UViTBlock(o, false, where));
  out_blocks = add_blocks(*this, "out_blocks", o, o.skip, where);
  norm = register_module("norm", nn::LayerNorm(o.dim, kNormEps, where, norm_kind(o)));
  decoder_pred = register_module("decoder_pred", nn::Linear(o.dim, o.patch * o.patch * o.channels, true, where));
  if (o.conv) final_layer = register_module("final_layer", nn::Conv2d(o.channels, o.channels, 3, where));
  if (o.strength) strength_embed = register_module("strength_embed", make_strength_mlp(o.dim, where));
  if (o.inner < 0) return;
  auto& inner = nn::add_scope(*this, "inner_head");
  inner_norm = inner.register_module("norm", nn::LayerNorm(o.dim, kNormEps, where, norm_kind(o)));
  inner_linear = inner.register_module("linear", nn::Linear(o.dim, o.patch * o.patch * o.channels, true, where));
}

int64_t UViTImpl::extra_tokens() const {
  switch (options_.layout) {
    case UViTLayout::kBaofff:
      return options_.condition == ConditionKind::kIndex ? 2 : 1;
    case UViTLayout::kSgfm:
      return 3;
    case UViTLayout::kSgfmPatch:
      return 2;
  }
  return 0;
}

int64_t UViTImpl::patch_tokens() const {
  const auto side = options_.size / options_.patch;
  return side * side;
}

Tensor UViTImpl::time_token(const Tensor& t, const Tensor& strength) const {
  const auto scaled = options_.time_scale == 1 ? t : t * options_.time_scale;
  const auto sinusoid = nn::time_embedding(scaled, options_.dim).to(pos_embed.scalar_type());
  const auto time = time_embed ? time_embed->forward(sinusoid) : sinusoid;
  return with_strength(time, strength_embed, strength, sinusoid.options(), "U-ViT");
}

Tensor UViTImpl::tokens(const Tensor& x_t, const Tensor& t, const Condition& condition) const {
  const auto& o = options_;
  const auto n = x_t.size(0);
  check_shape(x_t, {-1, o.channels, o.size, o.size}, "U-ViT: x_t");
  check_shape(t, {n}, "U-ViT: t");
  auto patches = patch_embed->forward(x_t);                          // [N, L, D]
  const auto time = time_token(t, condition.strength).unsqueeze(1);  // [N, 1, D]

  std::vector<Tensor> sequence;
  Tensor told;  // the condition: [N or 1, 1 or L, D]
  if (o.condition == ConditionKind::kIndex) {
    const auto rows = resolve_index(condition, o.classes, o.null_label ? o.classes : -1, n, x_t.device(), "U-ViT");
    told = label_emb->forward(rows).unsqueeze(1);
  } else if (o.layout != UViTLayout::kBaofff) {
    SDG_CHECK(o.condition != ConditionKind::kNone || condition.mode != Condition::Mode::kGiven,
              "U-ViT: this network was built without a condition, and got one");
    const auto& null = null_cfg_embed.defined() ? null_cfg_embed : unconditional_embed;
    told = resolve_vector(condition, null, unconditional_embed, n,
                          o.layout == UViTLayout::kSgfmPatch ? patch_tokens() : 0, "U-ViT");
  }
  switch (o.layout) {
    case UViTLayout::kBaofff:
      if (told.defined()) sequence.push_back(told);
      sequence.push_back(time);
      break;
    case UViTLayout::kSgfm:
      sequence = {cls_token.expand({n, 1, o.dim}), time, told.expand({n, 1, o.dim}).to(time.scalar_type())};
      break;
    case UViTLayout::kSgfmPatch:
      sequence = {cls_token.expand({n, 1, o.dim}), time};
      patches = patches + told;
      break;
  }
  sequence.push_back(patches);
  return at::cat(sequence, 1) + pos_embed;  // [N, T, D]
}

Tensor UViTImpl::run(const UViTBlock& block, const Tensor& x, const Tensor& skip) const {
  if (!options_.activation_checkpointing) return block->forward(x, skip, rotary);
  const auto piece = [block, turned = rotary](const std::vector<Tensor>& in) {
    return block->forward(in[0], in.size() > 1 ? in[1] : Tensor(), turned);
  };
  return nn::checkpoint(piece, skip.defined() ? std::vector<Tensor>{x, skip} : std::vector<Tensor>{x},
                        block->parameters());
}

Tensor UViTImpl::decode(const Tensor& x) const {
  const auto patches = x.narrow(1, extra_tokens(), patch_tokens());   // the extra tokens predict nothing
  const auto pixels = decoder_pred->forward(norm->forward(patches));  // [N, L, P*P*C]
  const auto image = nn::unpatchify(pixels, options_.patch, options_.channels);
  return final_layer ? final_layer->forward(image) : image;  // [N, C, S, S]
}

Tensor UViTImpl::decode_inner(const Tensor& x) const {
  const auto patches = x.narrow(1, extra_tokens(), patch_tokens());
  const auto pixels = inner_linear->forward(inner_norm->forward(patches));  // [N, L, P*P*C]
  return nn::unpatchify(pixels, options_.patch, options_.channels);         // [N, C, S, S]
}

ForwardOutput UViTImpl::forward(const Tensor& x_t, const Tensor& t, const Condition& condition,
                                const ForwardOptions& options) {
  const FeatureTaps taps(options, blocks(), "U-ViT");
  ForwardOutput out;
  auto x = tokens(x_t, t, condition);
  const auto half = options_.depth / 2;
  std::vector<Tensor> skips;
  for (int64_t depth = 0; depth < blocks(); ++depth) {
    if (depth < half) {
      x = run(in_blocks[depth], x, {});
      skips.push_back(x);
    } else if (depth == half) {
      x = run(mid_block, x, {});
    } else {
      x = run(out_blocks[depth - half - 1], x, options_.skip ? skips.back() : Tensor());
      skips.pop_back();
    }
    if (taps.take(depth, [&] { return x; }, out)) return out;
    if (options.inner && depth == options_.inner) out.inner = decode_inner(x);
  }
  out.prediction = decode(x);
  return out;
}

int64_t UViTImpl::macs() const {
  const auto& o = options_;
  const auto d = o.dim, patches = patch_tokens(), all = patches + extra_tokens(),
             pixels = o.patch * o.patch * o.channels;
  int64_t total = 2 * patches * pixels * d;  // patch embedding, decoder
  const auto mlp = o.style.swiglu ? 3 * d * nn::swiglu_hidden(hidden(o)) : 2 * d * hidden(o);
  total += blocks() * (all * (4 * d * d + mlp) + 2 * all * all * d);  // projections, MLP; attention
  if (o.skip) total += (o.depth / 2) * all * 2 * d * d;
  if (o.mlp_time_embed) total += 8 * d * d;
  if (has_inner()) total += patches * pixels * d;
  if (o.strength) total += strength_macs(d);
  if (o.conv) total += o.size * o.size * o.channels * o.channels * 9;
  return total;
}

void initialize(UViTImpl& net, uint64_t seed, nn::InitialValues values) {
  const nn::Initializer init(seed);
  const bool fan_in = values == nn::InitialValues::kFanIn;
  for (const auto& item : net.named_parameters()) {
    const auto& name = item.key();
    const bool is_token =
        name == "cls_token" || name == "null_cfg_embed" || name == "unconditional_embed" || name == "label_emb.weight";
    if (is_token) {
      init.normal(item.value(), name, 1);
    } else if (name == "strength_embed.2.weight") {
      nn::Initializer::constant(item.value(), 0);  // at first the strength says nothing
    } else if (name == "pos_embed" || (item.value().dim() == 2 && !fan_in)) {
      init.normal(item.value(), name, 0.02);
    } else if (item.value().dim() == 2) {
      init.fan_in(item.value(), name);
    } else if (item.value().dim() == 1) {
      const bool is_scale =
          name.ends_with("norm.weight") || name.ends_with("norm1.weight") || name.ends_with("norm2.weight");
      nn::Initializer::constant(item.value(), is_scale ? 1 : 0);
    }
  }
  init.conv(net.patch_embed->proj->weight, net.patch_embed->proj->bias, "patch_embed.proj");
  if (!net.final_layer) return;
  if (fan_in) {
    nn::Initializer::identity_conv(net.final_layer->weight, net.final_layer->bias);
  } else {
    init.conv(net.final_layer->weight, net.final_layer->bias, "final_layer");
  }
}

}  // namespace sdg::model
