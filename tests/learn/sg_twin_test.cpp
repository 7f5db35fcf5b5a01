// Training of a small U-Net of Self-Guided Diffusion, told vectors and maps, beside the same written in plain PyTorch.
#include <gtest/gtest.h>

#include "sdg/learn/draws.h"
#include "sdg/learn/learner.h"
#include "support/python.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

constexpr int64_t kImages = 12, kSteps = 8, kBatch = 6;

constexpr const char* kTwin = R"(
import math, sys
import torch
from torch.nn import functional as F
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
given = load_file(sys.argv[1])
w = {k[2:]: v.clone().requires_grad_(not k.startswith("w.null")) for k, v in given.items() if k.startswith("w.")}

def norm(x, key):
    return F.group_norm(x, 32, w[key + ".weight"], w[key + ".bias"], 1e-5)

def linear(x, key):
    return x @ w[key + ".weight"].T + w[key + ".bias"]

def mlp(x, key):
    return linear(F.silu(linear(x, key + ".0")), key + ".2")

def conv(x, key):
    weight = w[key + ".weight"]
    return F.conv2d(x, weight, w[key + ".bias"], padding=weight.shape[-1] // 2)

def resized(x, how):
    if how == "up":
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4 if how == "down" else x

def res_block(x, emb, key, how):
    h = conv(resized(F.silu(norm(x, key + ".in_layers.0")), how), key + ".in_layers.2")
    scale, shift = linear(F.silu(emb), key + ".emb_layers.1")[:, :, None, None].chunk(2, 1)
    h = conv(F.silu(norm(h, key + ".out_layers.0") * (1 + scale) + shift), key + ".out_layers.3")
    x = resized(x, how)
    return (conv(x, key + ".skip_connection") if key + ".skip_connection.weight" in w else x) + h

def attention(x, key, heads):
    n, c, s, _ = x.shape
    qkv = torch.einsum("oc,ncp->nop", w[key + ".qkv.weight"][:, :, 0], norm(x, key + ".norm").flatten(2))
    qkv = (qkv + w[key + ".qkv.bias"][:, None]).reshape(n * heads, 3 * c // heads, s * s)
    q, k, v = qkv.chunk(3, 1)
    a = torch.softmax(torch.einsum("bcp,bcq->bpq", q, k) / math.sqrt(c // heads), -1)
    h = torch.einsum("bpq,bcq->bcp", a, v).reshape(n, c, s * s)
    h = torch.einsum("oc,ncp->nop", w[key + ".proj_out.weight"][:, :, 0], h) + w[key + ".proj_out.bias"][:, None]
    return x + h.view_as(x)

def block(x, emb, key, down=False):
    layer = 0
    while any(name.startswith(f"{key}.{layer}.") for name in w):
        name = f"{key}.{layer}"
        if name + ".in_layers.0.weight" in w:
            up = key.startswith("output") and layer > 0
            x = res_block(x, emb, name, "down" if down else "up" if up else "")
        elif name + ".qkv.weight" in w:
            x = attention(x, name, 4)
        else:
            x = conv(x, name)
        layer += 1
    return x

def network(z, n, vector, map_):
    frequencies = torch.exp(torch.arange(16) * (-math.log(10000) / 16))
    angles = n[:, None] * frequencies
    emb = torch.cat([mlp(torch.cat([angles.cos(), angles.sin()], 1), "time_embed"), mlp(vector, "mlp_cond")], 1)
    x, kept = torch.cat([z, map_], 1), []
    for i in range(6):
        x = block(x, emb, f"input_blocks.{i}", down=i in (2, 4))
        kept.append(x)
    x = block(x, emb, "middle_block")
    for i in range(6):
        x = block(torch.cat([x, kept.pop()], 1), emb, f"output_blocks.{i}")
    return conv(F.silu(norm(x, "out.0")), "out.2")

betas = torch.linspace(1e-4 ** 0.5, 0.02 ** 0.5, 1000, dtype=torch.float64) ** 2
abar = torch.cumprod(1 - betas, 0)
names = [k for k in w if w[k].requires_grad]
optimizer = torch.optim.AdamW([w[k] for k in names], lr=1, betas=(0.9, 0.999), eps=1e-4, weight_decay=0.01)
losses = []
for step in range(given["t"].shape[0]):
    x, eps, t, drop = (given[k][step] for k in ("x", "eps", "t", "drop"))
    n = (t.double() * 1000).floor().long()
    signal, noise = (abar[n].sqrt().float().view(-1, 1, 1, 1), (1 - abar[n]).sqrt().float().view(-1, 1, 1, 1))
    kept = (~drop).float()
    guess = network(signal * x + noise * eps, n.float(), given["vectors"][step] * kept[:, None],
                    given["maps"][step] * kept[:, None, None, None])
    loss = ((guess - eps) ** 2).mean()
    for group in optimizer.param_groups:
        group["lr"] = 2e-3 * min(1, (step + 1) / 3)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
out = {"w." + k: v.detach().clone() for k, v in w.items()}
out["losses"] = torch.tensor(losses, dtype=torch.float64)
save_file(out, sys.argv[2])
)";

recipe::RunConfig small_config() {
  auto config = test::tiny_config("none.safetensors", "file");
  config.condition.file = "conditions.safetensors";
  config.condition.drop = 0.3;
  config.model = {};
  config.model.name = "sg-unet";
  config.model.dim = 32;
  config.model.depth = 1;
  config.model.heads = 4;
  config.model.dropout = 0;
  config.model.prediction = flow::Target::kNoise;
  config.model.path = flow::Path::kSqrtLinear;
  auto& train = config.train;
  train.lr = 2e-3;
  train.schedule = recipe::Schedule::kConstant;
  train.warmup = 3;
  train.beta1 = 0.9;
  train.beta2 = 0.999;
  train.eps = 1e-4;  // biases that a norm cancels have rounding for a gradient
  train.weight_decay = 0.01;
  train.clip = 0;
  train.batch = kBatch;
  return config;
}

}  // namespace

TEST(SgTwin, TrainsStepForStepAsPlainPyTorch) {
  SDG_NEEDS_PYTHON("torch safetensors");
  const auto config = small_config();
  const auto all = rng::consecutive(0, kImages);
  const auto drawn = [&](uint64_t seed, at::IntArrayRef shape) {
    return rng::normal({seed, rng::Purpose::kTest, 0}, all, shape);
  };
  const auto images = drawn(1, {1, 8, 8});
  auto stored = std::make_shared<network::StoredConditions>();
  stored->values = drawn(2, {6});
  stored->maps = drawn(3, {2, 8, 8});
  stored->map_channels = 2;
  learn::Learner learner(config, at::kCPU, at::arange(kImages), 0, kImages, Reducer::local(), stored);
  const auto draw = learn::counter_draws(config, learner.student().model->patch_tokens(), at::kCPU);

  tensors::TensorFile given;
  for (const auto& [name, tensor] : learner.student().tensors("w.")) given.tensors[name] = tensor.clone();
  std::map<std::string, std::vector<Tensor>> steps;
  std::vector<double> losses;
  for (int64_t step = 0; step < kSteps; ++step) {
    data::Batch batch;
    batch.sample = rng::consecutive(step * kBatch, kBatch);
    for (const auto sample : batch.sample) batch.index.push_back(sample * 5 % kImages);
    const auto index = at::tensor(batch.index, at::kLong);
    batch.x = images.index_select(0, index);
    const auto draws = draw(batch.sample, {1, 8, 8});
    for (const auto& [name, tensor] : {std::pair<const char*, Tensor>{"x", batch.x},
                                       {"eps", draws.eps},
                                       {"t", draws.t},
                                       {"drop", draws.drop},
                                       {"vectors", stored->values.index_select(0, index)},
                                       {"maps", stored->maps.index_select(0, index)}})
      steps[name].push_back(tensor);
    losses.push_back(learner.step(batch).objective);
  }
  for (const auto& [name, tensors] : steps) given.tensors[name] = at::stack(tensors);
  EXPECT_TRUE(given.at("drop").any().item<bool>());

  const test::TemporaryFolder folder;
  tensors::write_tensors(folder / "in.safetensors", given);
  const auto python =
      test::run_python(kTwin, {(folder / "in.safetensors").string(), (folder / "out.safetensors").string()});
  ASSERT_EQ(python.status, 0) << python.output;
  const auto twin = tensors::read_tensors(folder / "out.safetensors");
  const auto theirs = twin.at("losses");
  for (int64_t step = 0; step < kSteps; ++step)
    EXPECT_NEAR(losses[static_cast<size_t>(step)], theirs[step].item<double>(), 2e-5) << step;
  EXPECT_LT(losses.back(), losses.front()) << "nothing was learned";
  double moved = 0;
  for (const auto& [name, tensor] : learner.student().tensors("w.")) {
    const auto& other = twin.at(name);
    moved = std::max(moved, (tensor - given.at(name)).abs().max().item<double>());
    EXPECT_LT((tensor - other).abs().max().item<double>(), 1e-4) << name;
  }
  EXPECT_GT(moved, 5e-3);
  for (const std::string name : {"w.null_cond_emb", "w.null_layout_emb"})
    EXPECT_EQ(learner.student().tensors("w.").at(name).abs().max().item<double>(), 0) << "dropped conditions are zeros";
}
