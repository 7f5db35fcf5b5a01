// Which part of a file of somebody else's training is taken: files written by PyTorch, values as torch.load gives them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/error.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/torch_file.h"
#include "sdg/tensors/weights.h"
#include "support/python.h"
#include "tensors/torch_bytes.h"

using namespace sdg;
using test::message_of;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace {

// A network with a batch norm, its optimizer and an average of other values; `save(name, file)` stores one file, and
// the state dict that is right for it as safetensors.
constexpr const char* kTraining = R"(
import sys, copy, torch
from safetensors.torch import save_file
torch.manual_seed(1)
net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 5))
opt = torch.optim.AdamW(net.parameters())
net(torch.randn(8, 3)).square().sum().backward(); opt.step()
def averaged(decay):
    other = copy.deepcopy(net)
    with torch.no_grad():
        for p in other.parameters(): p.mul_(decay).add_(1)
    return other
ema = averaged(0.5)
params = lambda module: [p.detach().clone() for p in module.parameters()]
with_buffers_of = lambda module, other: {**other.state_dict(), **{k: v.detach() for k, v in module.named_parameters()}}
def save(name, file, right):
    torch.save(file, f'{sys.argv[1]}/{name}.pt')
    if right is not None: save_file({k: v.contiguous().clone() for k, v in right.items()}, f'{sys.argv[1]}/{name}.safetensors')
)";

class Parts : public ::testing::Test {
 protected:
  // Runs Python that saves files.
  void python(const std::string& script) {
    const auto result = test::run_python(kTraining + script, {folder_.path().string()});
    ASSERT_EQ(result.status, 0) << result.output;
  }
  tensors::Weights read(const std::string& name, const std::string& entry = "") const {
    return tensors::read_weights(folder_ / (name + ".pt"), entry);
  }
  // What is taken without being asked for is what Python says is right.
  tensors::Weights expect_right(const std::string& name, const std::string& entry) const {
    const auto weights = read(name);
    const auto right = tensors::read_tensors(folder_ / (name + ".safetensors")).tensors;
    EXPECT_EQ(weights.entry, entry) << name;
    EXPECT_EQ(weights.tensors.size(), right.size()) << name;
    for (const auto& [key, tensor] : right) {
      const auto found = weights.tensors.find(key);
      if (found == weights.tensors.end()) {
        ADD_FAILURE() << name << " lacks " << key;
      } else {
        EXPECT_TRUE(at::equal(found->second, tensor)) << name << ": " << key;
      }
    }
    return weights;
  }
  const TemporaryFolder folder_;
};

}  // namespace

TEST_F(Parts, StatesBesideTheNetworksHideNothing) {
  SDG_NEEDS_PYTHON("torch safetensors");
  python(R"(
rng, step, m, e = torch.get_rng_state(), torch.tensor(7), net.state_dict(), ema.state_dict()
save('rng', {'rng': rng, 'model': m, 'ema': e, 'step': step}, e)
save('first', {'step': step, 'rng_state': {'cpu': rng, 'cuda': [rng]}, 'opt': opt.state_dict(), 'model': m}, m)
save('strange', {'rng': rng, 'my_net': m, 'my_opt': opt.state_dict()}, m)
save('deep', {'rng': rng, 'states': {'step': step, 'model': m, 'ema': e}}, e)
save('plain', m, m)
save('stats', {'model': m, 'ema_stats': {'loss': torch.tensor(0.5)}, 'ema_sched': {'decay': 0.9}}, m)
save('list', [m, opt.state_dict()], m)
)");
  EXPECT_THAT(expect_right("rng", "ema").others, ElementsAre(::testing::Field(&tensors::WeightsPart::entry, "model")));
  EXPECT_THAT(expect_right("first", "model").others, IsEmpty());
  expect_right("strange", "my_net");
  expect_right("deep", "states.ema");
  EXPECT_THAT(tensors::also_holds(read("deep")), HasSubstr("this file also holds states.model (9 tensors)"));
  expect_right("plain", "");
  expect_right("stats", "model");
  expect_right("list", "0");
  EXPECT_TRUE(at::equal(read("rng", "rng").tensors.at("tensor"), read("strange", "rng").tensors.at("tensor")));
}

TEST_F(Parts, EveryNameOfAnAverageIsTakenBeforeTheNetwork) {
  SDG_NEEDS_PYTHON("torch safetensors");
  python(R"(
m, e = net.state_dict(), ema.state_dict()
for name in ['model_ema', 'state_dict_ema', 'ema_model', 'ema_state_dict', 'ema_0.9999', 'G_ema', 'averaged_model']:
    save(name, {'state_dict': m, name: e, 'optimizer': opt.state_dict(), 'epoch': 3}, e)
)");
  for (const std::string name :
       {"model_ema", "state_dict_ema", "ema_model", "ema_state_dict", "ema_0.9999", "G_ema", "averaged_model"}) {
    const auto weights = expect_right(name, name);
    EXPECT_THAT(weights.others, ElementsAre(::testing::Field(&tensors::WeightsPart::entry, "state_dict")));
    EXPECT_EQ(read(name, name).entry, name) << "names with dots can be asked for";
    EXPECT_FALSE(at::equal(read(name, "state_dict").tensors.at("0.weight"), weights.tensors.at("0.weight")));
  }
}

TEST_F(Parts, OfSeveralAveragesTheLongestIsTakenAndTheOthersAreNamed) {
  SDG_NEEDS_PYTHON("torch safetensors");
  python(R"(
long = averaged(0.25).state_dict()
save('two', {'ema_0.999': ema.state_dict(), 'ema_0.9999': long, 'ema_0.99': net.state_dict(), 'model': net.state_dict()}, long)
save('list', {'model': net.state_dict(), 'emas': [ema.state_dict(), long]}, long)
)");
  const auto weights = expect_right("two", "ema_0.9999");
  EXPECT_THAT(tensors::also_holds(weights), AllOf(HasSubstr("ema_0.999 (9 tensors)"), HasSubstr("ema_0.99 (9 tensors)"),
                                                  HasSubstr("model (9 tensors)")));
  EXPECT_EQ(read("two", "ema_0.99").entry, "ema_0.99");
  expect_right("list", "emas.1");
}

TEST_F(Parts, ListsOfParametersGetTheNamesOfTheNetworkBesideThem) {
  SDG_NEEDS_PYTHON("torch safetensors");
  python(R"(
right = with_buffers_of(ema, net)
shadow = {'decay': 0.999, 'num_updates': 5, 'shadow_params': params(ema)}
save('score_sde', {'optimizer': opt.state_dict(), 'model': net.state_dict(), 'ema': shadow, 'step': 3}, right)
parallel = {'module.' + k: v for k, v in net.state_dict().items()}
save('torch_ema', {'net': parallel, 'ema': {**shadow, 'collected_params': None}}, right)
save('collected', {'net': net.state_dict(), 'ema': {**shadow, 'collected_params': params(net)}}, right)
save('diffusers', {'unet': net.state_dict(), 'ema': {'decay': 0.9, 'optimization_step': 4, 'shadow_params': params(ema)}}, right)
save('tensor_decay', {'model': net.state_dict(), 'ema': {'decay': torch.tensor(0.9), 'shadow_params': params(ema)}}, right)
save('alone', {'shadow_params': params(ema), 'decay': 0.9}, None)
twins = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
save('twice', {'model': twins.state_dict(), 'ema': {'shadow_params': params(twins)[:4]}}, twins.state_dict())
)");
  for (const std::string name : {"score_sde", "torch_ema", "collected", "diffusers", "tensor_decay"}) {
    const auto weights = expect_right(name, "ema.shadow_params");
    EXPECT_THAT(weights.notes, Contains(AllOf(HasSubstr("got the names of"), HasSubstr("running_mean"))));
    EXPECT_EQ(read(name, "ema").tensors.size(), 9U);
  }
  EXPECT_THAT(expect_right("twice", "model").notes, Contains(HasSubstr("ema.shadow_params was passed over")))
      << "four of six tensors can be read in more ways than one";
  EXPECT_THAT(read("alone").notes, Contains(HasSubstr("passed over")));
}

TEST_F(Parts, WrappersAreTakenOutOfNames) {
  SDG_NEEDS_PYTHON("torch safetensors");
  python(R"(
m = net.state_dict()
blocks = copy.deepcopy(net)
for i in range(3): blocks[i] = torch.compile(blocks[i])
assert '0._orig_mod.weight' in blocks.state_dict()
save('blocks', {'model': blocks.state_dict()}, m)
save('whole', torch.compile(net).state_dict(), m)
average = torch.optim.swa_utils.AveragedModel(torch.nn.DataParallel(net))
assert 'n_averaged' in average.state_dict() and 'module.module.0.weight' in average.state_dict()
save('averaged', {'model': net.state_dict(), 'ema': average.state_dict()}, m)
save('parallel_blocks', {'module.' + k: v for k, v in blocks.state_dict().items()}, m)
save('checkpointed', {k.replace('.', '._checkpoint_wrapped_module.', 1): v for k, v in m.items()}, m)
)");
  EXPECT_EQ(expect_right("blocks", "model").stripped, "_orig_mod.");
  EXPECT_EQ(expect_right("whole", "").stripped, "_orig_mod.");
  const auto averaged = expect_right("averaged", "ema");
  EXPECT_EQ(averaged.stripped, "module.module.");
  EXPECT_THAT(averaged.notes, Contains(HasSubstr("left out: n_averaged")));
  EXPECT_EQ(expect_right("parallel_blocks", "").stripped, "module._orig_mod.");
  expect_right("checkpointed", "");
}

TEST_F(Parts, EntriesGoDeeperByDotsAndByBeginningsOfNames) {
  SDG_NEEDS_PYTHON("torch safetensors");
  python(R"(
m = {'net.' + k: v for k, v in net.state_dict().items()}
e = {'ema_model.' + k: v for k, v in ema.state_dict().items()}
save('lightning', {'state_dict': {**m, **e}, 'epoch': 1, 'optimizer_states': [opt.state_dict()]}, {**m, **e})
save('nested', {'a.b': {'c': {'d.e': net.state_dict(), 'f': ema.state_dict()}}}, None)
)");
  expect_right("lightning", "state_dict");
  EXPECT_EQ(read("lightning", "ema_model").entry, "state_dict.ema_model");
  EXPECT_EQ(read("lightning", "state_dict.ema_model").tensors.size(), 9U);
  EXPECT_TRUE(at::equal(read("lightning", "ema_model").tensors.at("0.weight"),
                        read("nested", "a.b.c.f").tensors.at("0.weight")));
  EXPECT_EQ(read("nested", "a.b.c.d.e").tensors.size(), 9U);
  EXPECT_THAT(message_of<Error>([&] { read("nested", "a.b.x"); }), HasSubstr("no entry a.b.x; it has a.b, a.b.c.d.e"));
  EXPECT_EQ(read("lightning", "optimizer_states.0.state.0").tensors.count("exp_avg"), 1U);
}

TEST(WeightsFolder, EveryNamingOfAFolderIsRead) {
  const TemporaryFolder folder;
  const auto value = [](int v) { return std::map<std::string, Tensor>{{"w", at::full({1}, v, at::kFloat)}}; };
  const auto read = [&] { return tensors::read_weights(folder.path()); };
  const auto taken = [&] { return read().tensors.at("w").item<float>(); };
  tensors::write_torch(folder / "diffusion_pytorch_model.bin", value(1));
  EXPECT_EQ(taken(), 1);
  tensors::write_tensors(folder / "diffusion_pytorch_model.fp16.safetensors", {value(2), {}});
  EXPECT_EQ(taken(), 2);
  tensors::write_tensors(folder / "diffusion_pytorch_model.non_ema.safetensors", {value(3), {}});
  EXPECT_EQ(taken(), 2);
  tensors::write_tensors(folder / "diffusion_pytorch_model.safetensors", {value(4), {}});
  EXPECT_EQ(taken(), 4);
  EXPECT_THAT(read().notes, Contains(AllOf(HasSubstr("took diffusion_pytorch_model.safetensors"), HasSubstr("fp16"),
                                           HasSubstr("non_ema"), HasSubstr(".bin"))));
  EXPECT_EQ(read().file.filename(), "diffusion_pytorch_model.safetensors");
}

TEST(WeightsFolder, ShardsOfDiffusersAndOfTorchAreJoined) {
  for (const std::string index : {"diffusion_pytorch_model.safetensors.index.json", "model.safetensors.index.json",
                                  "diffusion_pytorch_model.safetensors.index.fp16.json"}) {
    const TemporaryFolder folder;
    tensors::write_tensors(folder / "x-00001-of-00002.safetensors", {{{"a", at::ones({2})}}, {}});
    tensors::write_tensors(folder / "x-00002-of-00002.safetensors", {{{"b", at::ones({3})}}, {}});
    test::write_text(folder / index,
                     R"({"weight_map": {"a": "x-00001-of-00002.safetensors", "b": "x-00002-of-00002.safetensors"}})");
    EXPECT_EQ(tensors::read_weights(folder.path()).tensors.size(), 2U) << index;
    EXPECT_EQ(tensors::read_weights(folder.path()).format, "safetensors shards");
  }
  const TemporaryFolder folder;
  tensors::write_torch(folder / "pytorch_model-00001-of-00002.bin", {{"a", at::ones({2})}});
  tensors::write_torch(folder / "pytorch_model-00002-of-00002.bin", {{"b", at::ones({3})}});
  test::write_text(
      folder / "pytorch_model.bin.index.json",
      R"({"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}})");
  EXPECT_EQ(tensors::read_weights(folder.path()).tensors.size(), 2U);
  EXPECT_EQ(tensors::read_weights(folder.path()).format, "torch shards");
}

TEST(WeightsFolder, WhatItCannotDecideItLists) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "vae");
  tensors::write_tensors(folder / "vae/diffusion_pytorch_model.safetensors", {{{"w", at::ones({1})}}, {}});
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(folder.path()); }), HasSubstr("folders with weights: vae"));
  tensors::write_torch(folder / "ema_0.9999_500.pt", {{"w", at::ones({1})}});
  EXPECT_EQ(tensors::read_weights(folder.path()).tensors.size(), 1U);
  tensors::write_torch(folder / "model500.pt", {{"w", at::ones({1})}});
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(folder.path()); }),
              HasSubstr("it has ema_0.9999_500.pt, model500.pt"));
}

TEST(Weights, AHeaderLengthThatLooksLikeABraceIsStillSafetensors) {
  const TemporaryFolder folder;
  std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  header.resize('{', ' ');
  ASSERT_EQ(test::little<uint64_t>(header.size()).front(), '{');
  test::write_text(folder / "a", test::little<uint64_t>(header.size()) + header + test::little(2.5F));
  const auto read = tensors::read_weights(folder / "a");
  EXPECT_EQ(read.format, "safetensors");
  EXPECT_EQ(read.tensors.at("w").item<float>(), 2.5F);
}
