#include "sdg/model/dit.h"

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

constexpr double kNormEps = 1e-6;
constexpr int64_t kTimeWidth = 256;

void check(const DiTOptions& o) {
  SDG_CHECK_USAGE(o.size > 0 && o.patch > 0 && o.size % o.patch == 0,
                  "DiT: the input's side must be a multiple of the patch, got side ", o.size, " and patch ", o.patch);
  SDG_CHECK_USAGE(o.heads > 0 && o.dim % o.heads == 0 && o.dim % 4 == 0,
                  "DiT: the width must be a multiple of 4 and of the heads, got width ", o.dim, " and ", o.heads,
                  " heads");
  SDG_CHECK_USAGE(o.depth > 0 && o.channels > 0, "DiT: depth and channels must be at least 1, got depth ", o.depth,
                  " and ", o.channels, " channels");
  SDG_CHECK_USAGE(o.condition != ConditionKind::kIndex || o.classes > 0,
                  "DiT: condition index needs at least one class, got ", o.classes);
  SDG_CHECK_USAGE(o.condition != ConditionKind::kMap, "DiT: it cannot carry the condition map");
  SDG_CHECK_USAGE(o.projector_dims.empty() || (o.projector_depth > 0 && o.projector_depth <= o.depth),
                  "DiT: projectors must stand after one of the blocks 1 to ", o.depth, ", got ", o.projector_depth);
  SDG_CHECK_USAGE(o.inner < o.depth - 1, "guided.inner: the inner head must stand before the last of the blocks 0 to ",
                  o.depth - 1, ", got ", o.inner);
}

int64_t hidden(const DiTOptions& o) {
  return static_cast<int64_t>(static_cast<double>(o.dim) * o.mlp_ratio);
}
int64_t out_channels(const DiTOptions& o) {
  return o.learn_sigma ? 2 * o.channels : o.channels;
}
bool has_vectors(const DiTOptions& o) {
  return o.condition == ConditionKind::kVector || o.condition == ConditionKind::kPatchVector;
}

// LN(x)(1 + scale) + shift with x [N, T, D] and the others [N, 1, D]; `norm` stands for LN where there is one.
Tensor modulated(const Tensor& x, const Tensor& shift, const Tensor& scale, const nn::LayerNorm& norm = nullptr) {
  const auto normed = norm ? norm->forward(x) : at::layer_norm(x, {x.size(-1)}, {}, {}, kNormEps);
  return at::addcmul(shift, normed, scale + 1);
}

}  // namespace

DiTBlockImpl::DiTBlockImpl(const DiTOptions& o, const at::TensorOptions& where) {
  const auto kind = o.style.rms_norm ? nn::NormKind::kRms : nn::NormKind::kLayer;
  attn = register_module("attn", nn::Attention(o.dim, o.heads, /*qkv_bias=*/true, where, o.style.qk_norm, kind));
  if (o.style.rms_norm) {
    norm1 = register_module("norm1", nn::LayerNorm(o.dim, kNormEps, where, kind));
    norm2 = register_module("norm2", nn::LayerNorm(o.dim, kNormEps, where, kind));
  }
  if (o.style.swiglu) {
    swiglu = register_module("mlp", nn::SwiGlu(o.dim, nn::swiglu_hidden(hidden(o)), where));
  } else {
    mlp = register_module("mlp", nn::Mlp(o.dim, hidden(o), nn::Gelu::kTanh, where));
  }
  modulation = nn::add_scope(*this, "adaLN_modulation").register_module("1", nn::Linear(o.dim, 6 * o.dim, true, where));
}

Tensor DiTBlockImpl::forward(const Tensor& input, const Tensor& silu_c, const Tensor& rotary) const {
  const auto m = modulation->forward(silu_c).unsqueeze(1).chunk(6, 2);  // 6 x [N, 1, D]
  const auto x = at::addcmul(input, m[2], attn->forward(modulated(input, m[0], m[1], norm1), rotary));
  const auto y = modulated(x, m[3], m[4], norm2);  // [N, T, D]
  return at::addcmul(x, m[5], swiglu ? swiglu->forward(y) : mlp->forward(y));
}

ProjectorImpl::ProjectorImpl(int64_t in, int64_t hidden, int64_t out, const at::TensorOptions& where) {
  first = register_module("0", nn::Linear(in, hidden, true, where));
  second = register_module("2", nn::Linear(hidden, hidden, true, where));
  third = register_module("4", nn::Linear(hidden, out, true, where));
}

Tensor ProjectorImpl::forward(const Tensor& x) const {
  return third->forward(at::silu(second->forward(at::silu(first->forward(x)))));
}

DiTImpl::DiTImpl(const DiTOptions& options, const at::TensorOptions& where) : options_(options) {
  check(options_);
  const auto& o = options_;
  const auto table = nn::sincos_position_table(o.dim, o.size / o.patch).unsqueeze(0);
  pos_embed = register_parameter("pos_embed", table.to(where.device()), /*requires_grad=*/false);
  if (o.style.rotary)
    rotary = register_buffer("rotary", nn::rotary_table(o.dim / o.heads, o.size / o.patch).to(where.device()));
  if (has_vectors(o)) {
    null_embed = register_parameter("null_embed", at::zeros({1, 1, o.dim}, where));
    unconditional_embed = register_parameter("unconditional_embed", at::zeros({1, 1, o.dim}, where));
  }
  x_embedder = register_module("x_embedder", nn::PatchEmbed(o.channels, o.patch, o.dim, where));
  t_embedder = nn::add_scope(*this, "t_embedder").register_module("mlp", nn::TimeMlp(kTimeWidth, o.dim, o.dim, where));
  if (o.condition == ConditionKind::kIndex) {
    const nn::Embedding rows(o.classes + (o.null_label ? 1 : 0), o.dim, where);
    y_embedder = nn::add_scope(*this, "y_embedder").register_module("embedding_table", rows);
  }
  auto& list = nn::add_scope(*this, "blocks");
  for (int64_t i = 0; i < o.depth; ++i)
    block_list.push_back(list.register_module(std::to_string(i), DiTBlock(o, where)));
  if (!o.projector_dims.empty()) {
    auto& aims = nn::add_scope(*this, "projectors");
    for (const auto width : o.projector_dims)
      projectors.push_back(
          aims.register_module(std::to_string(projectors.size()), Projector(o.dim, o.projector_hidden, width, where)));
  }
  auto& last = nn::add_scope(*this, "final_layer");
  if (o.style.rms_norm)
    final_norm = last.register_module("norm_final", nn::LayerNorm(o.dim, kNormEps, where, nn::NormKind::kRms));
  final_linear = last.register_module("linear", nn::Linear(o.dim, o.patch * o.patch * out_channels(o), true, where));
  final_modulation =
      nn::add_scope(last, "adaLN_modulation").register_module("1", nn::Linear(o.dim, 2 * o.dim, true, where));
  if (o.strength) strength_embed = register_module("strength_embed", make_strength_mlp(o.dim, where));
  if (o.inner < 0) return;
  auto& inner = nn::add_scope(*this, "inner_head");
  inner_linear = inner.register_module("linear", nn::Linear(o.dim, o.patch * o.patch * o.channels, true, where));
  inner_modulation =
      nn::add_scope(inner, "adaLN_modulation").register_module("1", nn::Linear(o.dim, 2 * o.dim, true, where));
}

int64_t DiTImpl::patch_tokens() const {
  const auto side = options_.size / options_.patch;
  return side * side;
}

Tensor DiTImpl::conditioning(const Tensor& t, const Condition& condition) const {
  const auto& o = options_;
  const auto scaled = o.time_scale == 1 ? t : t * o.time_scale;
  const auto sinusoid = nn::time_embedding(scaled, kTimeWidth).to(pos_embed.scalar_type());
  const auto n = t.size(0);
  const auto time = with_strength(t_embedder->forward(sinusoid), strength_embed, condition.strength, sinusoid.options(),
                                  "DiT");  // [N, D]
  switch (o.condition) {
    case ConditionKind::kIndex:
      return time + y_embedder->forward(
                        resolve_index(condition, o.classes, o.null_label ? o.classes : -1, n, t.device(), "DiT"));
    case ConditionKind::kVector:
      return time + resolve_vector(condition, null_embed, unconditional_embed, n, 0, "DiT").squeeze(1);
    case ConditionKind::kPatchVector:
      return time;
    case ConditionKind::kMap:
    case ConditionKind::kNone:
      break;
  }
  SDG_CHECK(condition.mode != Condition::Mode::kGiven, "DiT: this network was built without a condition, and got one");
  return time;
}

ForwardOutput DiTImpl::run(const Tensor& x_t, const Tensor& t, const Condition& condition,
                           const ForwardOptions& options) const {
  const auto& o = options_;
  check_shape(x_t, {-1, o.channels, o.size, o.size}, "DiT: x_t");
  check_shape(t, {x_t.size(0)}, "DiT: t");
  const FeatureTaps taps(options, o.depth, "DiT");
  ForwardOutput out;
  auto x = x_embedder->forward(x_t) + pos_embed;  // [N, L, D]
  if (o.condition == ConditionKind::kPatchVector)
    x = x + resolve_vector(condition, null_embed, unconditional_embed, x_t.size(0), patch_tokens(), "DiT");
  const auto silu_c = at::silu(conditioning(t, condition));  // [N, D]
  for (int64_t depth = 0; depth < o.depth; ++depth) {
    const auto& block = block_list[depth];
    if (o.activation_checkpointing) {
      const auto piece = [block, turned = rotary](const std::vector<Tensor>& in) {
        return block->forward(in[0], in[1], turned);
      };
      x = nn::checkpoint(piece, {x, silu_c}, block->parameters());
    } else {
      x = block->forward(x, silu_c, rotary);
    }
    if (taps.take(depth, [&] { return x; }, out)) return out;
    if (options.inner && depth == o.inner) {
      const auto m = inner_modulation->forward(silu_c).unsqueeze(1).chunk(2, 2);  // 2 x [N, 1, D]
      const auto pixels = inner_linear->forward(modulated(x, m[0], m[1]));        // [N, L, P*P*C]
      out.inner = nn::unpatchify(pixels, o.patch, o.channels);                    // [N, C, S, S]
    }
  }
  const auto m = final_modulation->forward(silu_c).unsqueeze(1).chunk(2, 2);        // 2 x [N, 1, D]
  const auto pixels = final_linear->forward(modulated(x, m[0], m[1], final_norm));  // [N, L, P*P*C']
  out.prediction = nn::unpatchify(pixels, o.patch, out_channels(o));                // [N, C', S, S]
  return out;
}

ForwardOutput DiTImpl::forward(const Tensor& x_t, const Tensor& t, const Condition& condition,
                               const ForwardOptions& options) {
  auto out = run(x_t, t, condition, options);
  if (!out.prediction.defined()) return out;
  if (options_.learn_sigma) out.variance = out.prediction.narrow(1, options_.channels, options_.channels);
  out.prediction = out.prediction.narrow(1, 0, options_.channels);
  return out;
}

Tensor DiTImpl::prediction(const Tensor& x_t, const Tensor& t, const Condition& condition) {
  return run(x_t, t, condition, {}).prediction;
}

std::vector<Tensor> DiTImpl::project(const Tensor& features) const {
  check_shape(features, {-1, patch_tokens(), options_.dim}, "DiT: features to project");
  std::vector<Tensor> out;
  for (const auto& projector : projectors) out.push_back(projector->forward(features));
  return out;
}

int64_t DiTImpl::macs() const {
  const auto& o = options_;
  const auto d = o.dim, tokens = patch_tokens(), area = o.patch * o.patch;
  int64_t total = tokens * area * d * (o.channels + out_channels(o));  // patch embedding, final linear
  total += kTimeWidth * d + d * d + 2 * d * d;                         // time MLP, final modulation
  if (has_inner()) total += tokens * area * d * o.channels + 2 * d * d;
  if (o.strength) total += strength_macs(d);
  const auto mlp = o.style.swiglu ? 3 * d * nn::swiglu_hidden(hidden(o)) : 2 * d * hidden(o);
  total += o.depth * (tokens * (4 * d * d + mlp) + 2 * tokens * tokens * d + 6 * d * d);
  return total;
}

void initialize(DiTImpl& net, uint64_t seed) {
  const nn::Initializer init(seed);
  for (const auto& item : net.named_parameters()) {
    const auto& name = item.key();
    if (name == "pos_embed") continue;
    const bool starts_at_zero = name.find("adaLN_modulation") != std::string::npos || name.starts_with("final_layer") ||
                                name.starts_with("inner_head") || name == "strength_embed.2.weight" ||
                                name.ends_with(".bias");
    const bool is_embedding = name.starts_with("t_embedder") || name.starts_with("y_embedder") ||
                              name.starts_with("strength_embed") || name.ends_with("_embed");
    const bool is_scale = name.ends_with("_norm.weight") || name.ends_with("norm1.weight") ||
                          name.ends_with("norm2.weight") || name.ends_with("norm_final.weight");
    if (is_scale) {
      nn::Initializer::constant(item.value(), 1);
    } else if (starts_at_zero) {
      nn::Initializer::constant(item.value(), 0);
    } else if (is_embedding) {
      init.normal(item.value(), name, 0.02);
    } else {
      init.xavier_uniform(item.value(), name);
    }
  }
}

}  // namespace sdg::model
