#include "sdg/tensors/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/error.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/weights.h"
#include "support/python.h"
#include "support/same_bytes.h"
#include "support/temporary_folder.h"
#include "tensors/torch_rejection.h"

using namespace sdg;
using test::kGoodStorage;
using test::kGoodTensor;
using test::message_of;
using test::rejection;
using test::TemporaryFolder;
using ::testing::HasSubstr;
namespace pickle = test::pickle;

namespace {

// Every kind of tensor that torch.save knows a storage for, and what stands around tensors in real checkpoints.
const char* const kWriter = R"(
import argparse, collections, sys
import numpy as np, torch
from safetensors.torch import save_file
torch.manual_seed(1)
base = torch.randn(4, 6)
state = {
    'transposed': base.t(), 'slice': base[1:3, ::2], 'column': base[:, 2], 'whole': base, 'scalar': torch.tensor(2.5),
    'empty': torch.empty(0, 3), 'expanded': torch.arange(3.).expand(5, 3),
    'permuted': torch.arange(24).reshape(2, 3, 4).permute(2, 0, 1),
    'parameter': torch.nn.Parameter(torch.randn(3)), 'mask': torch.tensor([True, False, True])}
for dtype in [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]:
    state[str(dtype)] = torch.arange(7).to(dtype)
if sys.argv[4] == 'zip':
    for dtype in [torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2]:
        state[str(dtype)] = torch.arange(7).to(dtype)
ordered = collections.OrderedDict(('module._orig_mod.' + k, v) for k, v in state.items())
ordered._metadata = collections.OrderedDict({'': {'version': 1}})
whole = {'model': {'other': torch.zeros(2)}, 'ema': ordered, 'opt': {'state': {0: {'exp_avg': torch.ones(2), 'step': 3}},
         'param_groups': [{'lr': 1e-4, 'betas': (0.9, 0.999), 'params': [0]}]},
         'args': argparse.Namespace(model='SiT-XL/2', image_size=256, cfg=None, parts=[1, 'two']),
         'train_steps': 50000, 'best': np.float64(1.5), 'seen': {1, 2}, 'rng': np.arange(3), 'big': 1 << 80}
torch.save(whole, sys.argv[1], _use_new_zipfile_serialization=sys.argv[4] == 'zip', pickle_protocol=int(sys.argv[3]))
save_file({k: v.detach().contiguous().clone() for k, v in state.items()}, sys.argv[2])
)";

void expect_same(const std::map<std::string, Tensor>& actual, const std::map<std::string, Tensor>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    EXPECT_TRUE(test::same_bytes(actual.at(name), tensor)) << name;
  }
}

void compare_with_python(const std::string& container, const std::string& protocol) {
  const TemporaryFolder folder;
  const auto pt = folder / "a.bin", expected = folder / "b.safetensors";
  const auto python = test::run_python(kWriter, {pt.string(), expected.string(), protocol, container});
  ASSERT_EQ(python.status, 0) << python.output;
  const auto read = tensors::read_weights(pt);
  EXPECT_EQ(read.format, "torch " + container);
  EXPECT_EQ(read.entry, "ema");
  EXPECT_EQ(read.stripped, "module._orig_mod.");
  EXPECT_THAT(read.entries, ::testing::IsSupersetOf({"model", "ema", "opt", "args"}));
  expect_same(read.tensors, tensors::read_tensors(expected).tensors);
  EXPECT_EQ(read.metadata.at("args.model"), "SiT-XL/2");
  EXPECT_EQ(read.metadata.at("args.image_size"), "256");
  EXPECT_EQ(read.metadata.at("train_steps"), "50000");
  EXPECT_EQ(read.metadata.at("best"), "1.5");
  EXPECT_TRUE(at::equal(tensors::read_weights(pt, "opt").tensors.at("state.0.exp_avg"), at::ones({2})));
  EXPECT_EQ(tensors::read_weights(pt, "model").tensors.size(), 1U);
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(pt, "net"); }),
              HasSubstr("has no entry net; it has model, ema"));
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(pt, "args"); }), HasSubstr("entry args holds no tensors"));
}

}  // namespace

TEST(TorchFile, ZipFilesOfPythonComeBackByteForByte) {
  SDG_NEEDS_PYTHON("torch numpy safetensors");
  for (const std::string protocol : {"2", "4", "5"}) compare_with_python("zip", protocol);
}

TEST(TorchFile, LegacyFilesOfPythonComeBackByteForByte) {
  SDG_NEEDS_PYTHON("torch numpy safetensors");
  for (const std::string protocol : {"2", "4"}) compare_with_python("legacy", protocol);
}

TEST(TorchFile, ThePublishedFilesAreRead) {
  const auto shared = std::filesystem::path(SDG_SOURCE_DIR) / ".." / "shared" / "weights";
  if (!std::filesystem::exists(shared)) {
    std::cout << "SKIPPED: no ../shared/weights beside the source folder" << std::endl;
    GTEST_SKIP() << "no ../shared/weights";
  }
  const auto legacy = tensors::read_weights(shared / "cifar10_resnet20.legacy.th");
  EXPECT_EQ(legacy.format, "torch legacy");
  EXPECT_EQ(legacy.entry, "state_dict");
  EXPECT_EQ(legacy.stripped, "module.");
  expect_same(legacy.tensors, tensors::read_tensors(shared / "cifar10_resnet20.safetensors").tensors);
  for (const std::string name : {"taef2_encoder.pth", "taef2_decoder.pth"}) {
    const auto zip = tensors::read_weights(shared / name);
    EXPECT_EQ(zip.format, "torch zip");
    EXPECT_GT(zip.tensors.size(), 50U);
    for (const auto& [key, tensor] : zip.tensors) EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << key;
  }
}

TEST(TorchFile, WhatIsWrittenIsWhatPythonLoadsWithWeightsOnly) {
  SDG_NEEDS_PYTHON("torch safetensors");
  const TemporaryFolder folder;
  std::map<std::string, Tensor> tensors{{"view", at::arange(24, at::kFloat).view({4, 6}).t()},
                                        {"scalar", at::scalar_tensor(3, at::kLong)},
                                        {"empty", at::empty({0, 5})},
                                        {"mask", at::ones({3}, at::kBool)}};
  for (const auto dtype : {at::kDouble, at::kHalf, at::kBFloat16, at::kInt, at::kShort, at::kChar, at::kByte})
    tensors.emplace(c10::toString(dtype), at::arange(5).to(dtype));
  tensors::write_torch(folder / "a.pt", tensors, {{"made_by", "a note that torch does not look at"}});
  tensors::write_tensors(folder / "a.safetensors", {tensors, {}});
  const auto python = test::run_python(
      "import sys, torch, zipfile\n"
      "from safetensors.torch import load_file\n"
      "assert zipfile.ZipFile(sys.argv[1]).testzip() is None\n"
      "for mmap in (False, True):\n"
      "    a, b = torch.load(sys.argv[1], weights_only=True, mmap=mmap), load_file(sys.argv[2])\n"
      "    assert a.keys() == b.keys()\n"
      "    for k in a: assert a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and torch.equal(a[k], b[k]), k\n",
      {(folder / "a.pt").string(), (folder / "a.safetensors").string()});
  EXPECT_EQ(python.status, 0) << python.output;
  expect_same(tensors::read_weights(folder / "a.pt").tensors, tensors::read_tensors(folder / "a.safetensors").tensors);
  EXPECT_EQ(tensors::read_weights(folder / "a.pt").metadata.at("made_by"), "a note that torch does not look at");
  EXPECT_THAT(message_of<Error>([&] { tensors::write_torch(folder / "b.pt", {{"x", at::zeros({1}, at::kUInt16)}}); }),
              HasSubstr("no storage class for UInt16"));
}

TEST(TorchFile, TheSameTensorsGiveTheSameBytes) {
  const TemporaryFolder folder;
  for (const std::string name : {"a.pt", "b.pt"}) tensors::write_torch(folder / name, {{"x", at::ones({3})}});
  EXPECT_EQ(test::read_text(folder / "a.pt"), test::read_text(folder / "b.pt"));
}

TEST(TorchFile, TensorsOutliveTheFile) {
  const TemporaryFolder folder;
  for (const bool legacy : {false, true}) {
    const auto value =
        pickle::dict({{"w", pickle::tensor(pickle::storage("FloatStorage", "0", 6, legacy), 1, {5}, {1})}});
    std::string floats;
    for (const float v : {0.F, 1.F, 2.F, 3.F, 4.F, 5.F}) floats += test::little(v);
    test::write_text(folder / "a.pt",
                     legacy ? test::torch_legacy(value, {{"0", {0, 1, 2, 3, 4, 5}}}) : test::torch_zip(value, floats));
    Tensor w = tensors::read_weights(folder / "a.pt").tensors.at("w");
    std::filesystem::remove(folder / "a.pt");
    EXPECT_TRUE(at::equal(w, at::arange(1, 6, at::kFloat)));
  }
}

TEST(TorchFile, ACallThatWouldRunSomethingIsRefusedByNameAndNothingRuns) {
  const TemporaryFolder folder;
  const auto sign = folder / "executed";
  const auto reducer = [&](const std::string& module, const std::string& name) {
    return pickle::global(module, name) + "(" + pickle::text("touch " + sign.string()) + "tR";
  };
  for (const auto& [module, name] : std::vector<std::pair<std::string, std::string>>{{"os", "system"},
                                                                                     {"posix", "system"},
                                                                                     {"builtins", "eval"},
                                                                                     {"builtins", "exec"},
                                                                                     {"subprocess", "Popen"},
                                                                                     {"torch.hub", "load"},
                                                                                     {"torch.serialization", "load"},
                                                                                     {"__builtin__", "eval"},
                                                                                     {"pickle", "loads"},
                                                                                     {"importlib", "import_module"},
                                                                                     {"nt", "system"}}) {
    const auto attack = reducer(module, name);
    const auto shown = (module == "__builtin__" ? "builtins" : module) + "." + name;
    const std::vector<std::string> places = {attack, pickle::dict({{"w", kGoodTensor}, {"args", attack}}),
                                             pickle::dict({{"ema", pickle::dict({{"w", attack}})}}), "]" + attack + "a",
                                             attack + "0" + pickle::dict({{"w", kGoodTensor}})};
    for (const auto& place : places) {
      EXPECT_THAT(rejection(test::torch_zip(place)), HasSubstr("calls the global " + shown)) << place;
      EXPECT_THAT(rejection(test::torch_legacy(place, {})), HasSubstr("calls the global " + shown));
    }
  }
  // STACK_GLOBAL, names from the memo, and NEWOBJ
  EXPECT_THAT(rejection(test::torch_zip(pickle::text("os") +
                                        "q\x01"
                                        "0" +
                                        "h\x01" + pickle::text("system") + "\x93)R")),
              HasSubstr("the global os.system"));
  EXPECT_THAT(rejection(test::torch_zip(pickle::global("os", "system") + ")\x81")), HasSubstr("os.system"));
  EXPECT_FALSE(std::filesystem::exists(sign));
}

// Nothing is ever imported, so what nobody knows is a name, wherever it stands and whatever it is called with.
TEST(TorchFile, WhatAnUnknownFunctionMakesIsAnObjectWithoutMeaning) {
  const TemporaryFolder folder;
  const auto weights = [&](const std::string& object) {
    test::write_text(folder / "a.pt",
                     test::torch_zip(pickle::dict({{"model", pickle::dict({{"w", kGoodTensor}})}, {"args", object}})));
    const auto read = tensors::read_weights(folder / "a.pt", "model");
    EXPECT_EQ(read.tensors.size(), 1U);
    EXPECT_TRUE(read.unread.empty());
    return read;
  };
  const auto unknown = pickle::global("some.where", "made");
  for (const auto& object :
       {unknown, unknown + ")R", unknown + ")\x81", unknown + "(" + pickle::text("x") + "tR", unknown + ")}\x92",
        unknown + ")R" + pickle::dict({{"a", "N"}}) + "b", unknown + ")R(NNNtb", unknown + ")R]a", unknown + ")R(NNu",
        unknown + ")R)R", "(" + unknown + "No", std::string("(Nisome\nwhere\n"),
        pickle::global("builtins", "getattr") + "(" + unknown + pickle::text("b") + "tR",
        pickle::global("collections", "OrderedDict.__init__") + ")R", pickle::global("os", "system"),
        pickle::global("torch", "FloatStorage.from_file") + ")R", pickle::global("torch", "float32") + ")R",
        "}(" + unknown + "N" + unknown + ")RNu", unknown + "q\x01)R(h\x01tR"})
    weights(object);
  EXPECT_EQ(weights(unknown + ")R" + pickle::dict({{"lr", "K\x05"}}) + "b").metadata.at("args.lr"), "5");
  // Where it is given tensors, they are not taken for the weights and not left out without a word either.
  test::write_text(folder / "b.pt",
                   test::torch_zip(pickle::dict({{"w", kGoodTensor}, {"v", unknown + "(" + kGoodTensor + "tR"}})));
  const auto read = tensors::read_weights(folder / "b.pt");
  EXPECT_EQ(read.tensors.size(), 1U);
  EXPECT_EQ(read.unread.at("v"), "is made of tensors by some.where.made, which is not known here");
}

TEST(TorchFile, WhatRefersToItselfEnds) {
  const TemporaryFolder folder;
  std::string chain = "}q\x01";  // objects that all know their owner and each other
  for (int i = 0; i < 200; ++i)
    chain += pickle::text("k" + std::to_string(i)) + pickle::global("a.b", "Node") + ")\x81" + "}(" +
             pickle::text("owner") + "h\x01" + pickle::text("all") + "](h\x01h\x01" + "eub" + "s";
  test::write_text(folder / "a.pt",
                   test::torch_zip(pickle::dict({{"model", pickle::dict({{"w", kGoodTensor}})}, {"x", chain}})));
  EXPECT_EQ(tensors::read_weights(folder / "a.pt", "model").tensors.size(), 1U);
  EXPECT_EQ(tensors::read_weights(folder / "a.pt").tensors.size(), 1U);
}

TEST(TorchFile, ASubclassThatIsRebuiltByItselfIsRefused) {
  const auto self = pickle::global("torch._tensor", "_rebuild_from_type_v2");
  const auto loop = "](" + self + pickle::global("copyreg", "__newobj__") + "Ne" + "q\x01h\x01" + "a0" + self + "(" +
                    pickle::global("copyreg", "__newobj__") + "Nh\x01NtR";
  EXPECT_THAT(rejection(test::torch_zip(loop)), HasSubstr("rebuilt in an unknown way"));
}

TEST(TorchFile, StatesThatOldTorchSetsOnTensorsAreApplied) {
  const TemporaryFolder folder;
  std::string floats;
  for (const float v : {0.F, 1.F, 2.F, 3.F, 4.F, 5.F}) floats += test::little(v);
  const auto read = [&](const std::string& state) {
    test::write_text(
        folder / "a.pt",
        test::torch_zip(pickle::dict({{"w", pickle::tensor(kGoodStorage, 0, {2}, {1}) + state + "b"}}), floats));
    return tensors::read_weights(folder / "a.pt");
  };
  const auto last = pickle::tensor(kGoodStorage, 3, {3}, {1});
  EXPECT_TRUE(at::equal(
      read("(" + kGoodStorage + pickle::number(2) + pickle::numbers({2}) + pickle::numbers({2}) + "t").tensors.at("w"),
      torch::tensor({2.F, 4.F})));
  EXPECT_TRUE(at::equal(read("(" + last + "N" + "N\x88\x89t").tensors.at("w"), torch::tensor({3.F, 4.F, 5.F})));
  EXPECT_TRUE(at::equal(read("(\x88\x89Nt").tensors.at("w"), torch::tensor({0.F, 1.F})));
  EXPECT_TRUE(at::equal(read("}").tensors.at("w"), torch::tensor({0.F, 1.F})));
  EXPECT_THAT(message_of<Error>([&] { read("(NNNNNNt"); }), HasSubstr("w is given a state of an unknown kind"));
}
