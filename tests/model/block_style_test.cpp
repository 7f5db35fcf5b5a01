// Blocks of other styles against a small PyTorch twin, written from the papers' equations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/fill_rule.h"
#include "sdg/core/error.h"
#include "sdg/model/catalog.h"
#include "sdg/model/recognise.h"
#include "sdg/nn/rotary.h"
#include "sdg/tensors/tensor_file.h"
#include "support/python.h"

using namespace sdg;
using namespace sdg::model;
using ::testing::HasSubstr;

namespace {

struct Style {
  bool qk_norm, rms_norm, swiglu, rotary;
};
const std::vector<Style> kStyles{{true, false, false, false},
                                 {false, true, false, false},
                                 {false, false, true, false},
                                 {false, false, false, true},
                                 {true, true, true, true}};

ModelOptions options_of(const std::string& name, const Style& style) {
  ModelOptions out;
  out.name = name;
  out.dim = 32;
  out.depth = 2;
  out.heads = 2;
  out.qk_norm = style.qk_norm;
  out.rms_norm = style.rms_norm;
  out.swiglu = style.swiglu;
  out.rotary = style.rotary;
  return out;
}

const ModelShape kShape{.size = 8, .channels = 3, .condition = ConditionKind::kVector};

std::map<std::string, Tensor> state_of(const torch::nn::Module& network) {
  std::map<std::string, Tensor> out;
  for (const auto& item : network.named_parameters()) out.emplace(item.key(), item.value().detach());
  for (const auto& item : network.named_buffers()) out.emplace(item.key(), item.value());
  return out;
}

// Arguments: file of weights w.*, x, t, y; where to write `out`; family; qk_norm rms_norm swiglu rotary as 0 or 1.
const char* kTwin = R"(
import sys, math, torch, torch.nn.functional as F
from safetensors.torch import load_file, save_file
data, out, family = load_file(sys.argv[1]), sys.argv[2], sys.argv[3]
qk, rms, swiglu, rotary = (a == '1' for a in sys.argv[4:8])
w = {k[2:]: v.double() for k, v in data.items() if k.startswith('w.')}
x, t, y = data['x'].double(), data['t'].double(), data['y'].double()
heads, dim, patch, grid = 2, 32, 2, 4
extra = 3 if family == 'uvit' else 0

def linear(n, v): return F.linear(v, w[n + '.weight'], w.get(n + '.bias'))
def norm(n, v, eps):
    if rms:
        return v / torch.sqrt((v * v).mean(-1, keepdim=True) + 1e-6 * (1 if eps != 1e-5 or '_norm' in n else 10)) * w[n + '.weight']
    if n + '.weight' in w: return F.layer_norm(v, v.shape[-1:], w[n + '.weight'], w[n + '.bias'], eps)
    return F.layer_norm(v, v.shape[-1:], None, None, eps)
def turn(v):  # [N, heads, T, width]: planes (2 i, 2 i + 1) by row for the first half of the width, by column for the rest
    width = v.shape[-1]
    res = v.clone()
    for token in range(grid * grid):
        row, column = divmod(token, grid)
        for i in range(width // 2):
            half = width // 4
            place, k = (row, i) if i < half else (column, i - half)
            angle = place * 10000.0 ** (-2 * k / (width / 2))
            a, b = v[..., extra + token, 2 * i], v[..., extra + token, 2 * i + 1]
            res[..., extra + token, 2 * i] = a * math.cos(angle) - b * math.sin(angle)
            res[..., extra + token, 2 * i + 1] = a * math.sin(angle) + b * math.cos(angle)
    return res
def attention(n, v):
    N, T, D = v.shape
    q, k, u = linear(n + '.qkv', v).reshape(N, T, 3, heads, D // heads).permute(2, 0, 3, 1, 4)
    if qk: q, k = norm(n + '.q_norm', q, 1e-5), norm(n + '.k_norm', k, 1e-5)
    if rotary: q, k = turn(q), turn(k)
    p = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(D // heads), -1)
    return linear(n + '.proj', (p @ u).transpose(1, 2).reshape(N, T, D))
def mlp(n, v, tanh):
    if swiglu:
        a, b = linear(n + '.w12', v).chunk(2, -1)
        return linear(n + '.w3', F.silu(a) * b)
    return linear(n + '.fc2', F.gelu(linear(n + '.fc1', v), approximate='tanh' if tanh else 'none'))
def sinusoid(v, d):
    f = torch.exp(-math.log(10000) * torch.arange(d // 2, dtype=torch.float64) / (d // 2))
    a = v[:, None] * f
    return torch.cat([a.cos(), a.sin()], -1)
def patches(n): return F.conv2d(x, w[n + '.weight'], w[n + '.bias'], stride=patch).flatten(2).transpose(1, 2)
def image(v):
    v = v.reshape(len(v), grid, grid, patch, patch, 3)
    return v.permute(0, 5, 1, 3, 2, 4).reshape(len(v), 3, 8, 8)

if family == 'dit':
    v = patches('x_embedder.proj') + w['pos_embed']
    c = sinusoid(1000 * t, 256)
    c = linear('t_embedder.mlp.2', F.silu(linear('t_embedder.mlp.0', c))) + y
    s = F.silu(c)
    for i in range(2):
        b = 'blocks.%d.' % i
        m = linear(b + 'adaLN_modulation.1', s)[:, None].chunk(6, -1)
        v = v + m[2] * attention(b + 'attn', norm(b + 'norm1', v, 1e-6) * (1 + m[1]) + m[0])
        v = v + m[5] * mlp(b + 'mlp', norm(b + 'norm2', v, 1e-6) * (1 + m[4]) + m[3], True)
    m = linear('final_layer.adaLN_modulation.1', s)[:, None].chunk(2, -1)
    r = image(linear('final_layer.linear', norm('final_layer.norm_final', v, 1e-6) * (1 + m[1]) + m[0]))
else:
    N = len(x)
    v = torch.cat([w['cls_token'].expand(N, 1, dim), sinusoid(t, dim)[:, None], y[:, None], patches('patch_embed.proj')], 1)
    v = v + w['pos_embed']
    def block(n, v, skip=None):
        if skip is not None: v = linear(n + '.skip_linear', torch.cat([v, skip], -1))
        v = v + attention(n + '.attn', norm(n + '.norm1', v, 1e-5))
        return v + mlp(n + '.mlp', norm(n + '.norm2', v, 1e-5), False)
    first = block('in_blocks.0', v)
    v = block('out_blocks.0', block('mid_block', first), first)
    r = image(linear('decoder_pred', norm('norm', v, 1e-5)[:, extra:]))
    if 'final_layer.weight' in w: r = F.conv2d(r, w['final_layer.weight'], w['final_layer.bias'], padding=1)
save_file({'out': r.float().contiguous()}, out)
)";

}  // namespace

TEST(BlockStyles, EqualTheTwinInPyTorch) {
  if (const auto lacks = test::python_lacks("torch safetensors"); !lacks.empty()) GTEST_SKIP() << lacks;
  const test::TemporaryFolder folder;
  const at::NoGradGuard no_grad;
  for (const std::string name : {"dit-tiny/2", "uvit-tiny/2"}) {
    const auto family = name.substr(0, name.find('-'));
    for (const auto& style : kStyles) {
      const auto network = build(options_of(name, style), kShape, 0, at::kCPU);
      test::fill(*network);
      tensors::TensorFile file;
      for (const auto& [key, tensor] : state_of(*network)) file.tensors["w." + key] = tensor;
      const auto x = test::fill_input({2, 3, 8, 8}), y = test::fill_input({2, 32}), t = at::tensor({0.3F, 0.8F});
      file.tensors["x"] = x;
      file.tensors["y"] = y;
      file.tensors["t"] = t;
      tensors::write_tensors(folder / "in.safetensors", file);
      const auto flag = [](bool on) { return std::string(on ? "1" : "0"); };
      const auto ran =
          test::run_python(kTwin, {(folder / "in.safetensors").string(), (folder / "out.safetensors").string(), family,
                                   flag(style.qk_norm), flag(style.rms_norm), flag(style.swiglu), flag(style.rotary)});
      ASSERT_EQ(ran.status, 0) << ran.output;
      const auto expected = tensors::read_tensors(folder / "out.safetensors").at("out");
      const auto ours = network->forward(x, t, Condition::given(y)).prediction;
      const double error = (ours - expected).abs().max().item<double>(), scale = expected.abs().max().item<double>();
      std::printf("[ twin ] %s %d%d%d%d: %.2e of %.2f\n", family.c_str(), style.qk_norm, style.rms_norm, style.swiglu,
                  style.rotary, error, scale);
      EXPECT_LT(error, 2e-5 * std::max(1.0, scale)) << name;
    }
  }
}

TEST(BlockStyles, AreToldFromTheTensorsAndCountTheirProducts) {
  for (const std::string name : {"dit-tiny/2", "uvit-tiny/2"}) {
    const auto plain = build(options_of(name, {}), kShape, 0, at::kMeta);
    for (const auto& style : kStyles) {
      const auto network = build(options_of(name, style), kShape, 0, at::kMeta);
      const auto found = recognise(state_of(*network), name.substr(0, name.find('-')));
      ASSERT_TRUE(found) << name;
      EXPECT_EQ(found->options.qk_norm, style.qk_norm);
      EXPECT_EQ(found->options.rms_norm, style.rms_norm);
      EXPECT_EQ(found->options.swiglu, style.swiglu);
      EXPECT_EQ(found->options.rotary, style.rotary);
      EXPECT_TRUE(found->fits());
      if (style.qk_norm || style.rotary) EXPECT_EQ(found->options.heads, 2);
      EXPECT_NEAR(static_cast<double>(network->macs()), static_cast<double>(plain->macs()),
                  0.02 * static_cast<double>(plain->macs()))
          << "two thirds of the width cost as much";
    }
  }
}

TEST(BlockStyles, BeginWithScalesOfOneAndOfUNetsAreRefused) {
  const auto network = build(options_of("uvit-tiny/2", kStyles.back()), kShape, 0, at::kCPU);
  const auto state = state_of(*network);
  for (const auto& key : {"mid_block.norm1.weight", "mid_block.attn.q_norm.weight", "norm.weight"})
    EXPECT_TRUE(state.at(key).eq(1).all().item<bool>()) << key;
  const auto dit = state_of(*build(options_of("dit-tiny/2", kStyles.back()), kShape, 0, at::kCPU));
  for (const auto& key : {"blocks.1.norm2.weight", "blocks.0.attn.k_norm.weight", "final_layer.norm_final.weight"})
    EXPECT_TRUE(dit.at(key).eq(1).all().item<bool>()) << key;
  EXPECT_GT(dit.at("blocks.0.mlp.w12.weight").abs().max().item<double>(), 0);
  ModelOptions unet;
  unet.name = "adm-tiny";
  unet.swiglu = true;
  EXPECT_THAT(test::message_of<UsageError>([&] { build(unet, {.size = 32, .channels = 3}, 0, at::kMeta); }),
              HasSubstr("are of transformers"));
}

TEST(RotaryPositions, LeaveLengthsAndDependOnDifferencesAlone) {
  const auto table = nn::rotary_table(8, 4, 2);
  const auto x = test::fill_input({1, 18, 1, 8});
  const auto turned = nn::rotated(x, table);
  EXPECT_LT((turned.norm(2, {-1}) - x.norm(2, {-1})).abs().max().item<double>(), 1e-5);
  EXPECT_TRUE(at::equal(turned.narrow(1, 0, 2), x.narrow(1, 0, 2))) << "tokens before the patches stay";
  // The product of a query at one place with a key at another, moved together.
  const auto q = test::fill_input({8}), k = test::fill_input({9}).narrow(0, 1, 8);
  const auto product = [&](int64_t a, int64_t b) {
    auto all = at::zeros({1, 18, 1, 8});
    all[0][2 + a][0] = q;
    const auto qs = nn::rotated(all, table)[0][2 + a][0].clone();
    all[0][2 + b][0] = k;
    return at::dot(qs, nn::rotated(all, table)[0][2 + b][0]).item<double>();
  };
  EXPECT_NEAR(product(0, 5), product(5, 10), 1e-5);  // one row and one column further
  EXPECT_GT(std::abs(product(0, 5) - product(0, 6)), 1e-4);
  EXPECT_THROW(nn::rotary_table(6, 4), Error);
}
