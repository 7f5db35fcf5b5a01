// What torch files hold beside plain tensors of plain state dicts. The judge is torch.load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/error.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/torch_file.h"
#include "sdg/tensors/weights.h"
#include "support/python.h"
#include "support/same_bytes.h"
#include "support/temporary_folder.h"
#include "tensors/torch_bytes.h"

using namespace sdg;
using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;
namespace pickle = test::pickle;

namespace {

void expect_same(const std::map<std::string, Tensor>& actual, const std::map<std::string, Tensor>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(actual.contains(name)) << name;
    EXPECT_TRUE(test::same_bytes(actual.at(name), tensor)) << name;
  }
}

// Classes under the names that real files have, made on the spot; `save` writes every container and protocol, and what
// torch.load makes of the state dict as safetensors.
const char* const kPrelude = R"(
import collections, datetime, enum, functools, pathlib, pickle, sys, types
import numpy as np, torch
from safetensors.torch import save_file
folder = sys.argv[1]
def a_class(name, *bases, **body):
    module, _, short = name.rpartition('.')
    parts = module.split('.')
    for i in range(len(parts)): sys.modules.setdefault('.'.join(parts[:i + 1]), types.ModuleType('.'.join(parts[:i + 1])))
    made = type(short, bases or (object,), dict(body, __module__=module, __qualname__=short))
    setattr(sys.modules[module], short, made)
    return made
def a_function(name, function):
    module, _, short = name.rpartition('.')
    a_class(name)
    function.__module__, function.__name__, function.__qualname__ = module, short, short
    setattr(sys.modules[module], short, function)
    return function
def plain(tensor): return tensor.detach().resolve_neg().resolve_conj().contiguous().clone()
def save(name, whole, take=lambda x: x, protocols=(1, 2, 3, 4, 5)):
    for legacy in (False, True):
        for protocol in protocols:
            path = f"{folder}/{name}_{'legacy' if legacy else 'zip'}_{protocol}.pt"
            torch.save(whole, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not legacy)
            state = take(torch.load(path, weights_only=False))
    save_file({k: plain(v) for k, v in state.items()}, f"{folder}/{name}.safetensors")
)";

// Runs the script and compares every file it saved under `name`.
std::vector<tensors::Weights> compare(const std::string& script, const std::string& name, const std::string& entry = "",
                                      size_t files = 10) {
  const TemporaryFolder folder;
  const auto python = test::run_python(kPrelude + script, {folder.path().string()});
  EXPECT_EQ(python.status, 0) << python.output;
  const auto expected = tensors::read_tensors(folder / (name + ".safetensors")).tensors;
  std::vector<tensors::Weights> out;
  for (const auto& item : std::filesystem::directory_iterator(folder.path())) {
    if (item.path().extension() != ".pt") continue;
    SCOPED_TRACE(item.path().filename().string());
    out.push_back(tensors::read_weights(item.path(), entry));
    expect_same(out.back().tensors, expected);
    EXPECT_TRUE(out.back().unread.empty());
  }
  EXPECT_EQ(out.size(), files);
  return out;
}

}  // namespace

TEST(TorchValues, NegatedAndConjugatedTensorsHaveTheValuesThatTorchLoads) {
  SDG_NEEDS_PYTHON("torch numpy safetensors");
  compare(R"(
c = torch.randn(4, 6, dtype=torch.complex64)
state = {'neg': torch._neg_view(torch.arange(3.)), 'view': torch._neg_view(torch.arange(24.).view(4, 6).t()[1:4, ::2]),
         'imag': c.clone().conj().imag, 'imag_column': c.clone().conj().imag[:, 1], 'of_complex': c.conj(),
         'both': torch._neg_view(c.conj().t()), 'parameter': torch.nn.Parameter(torch._neg_view(torch.randn(5))), 'plain': torch.arange(4.),
         'expanded': torch._neg_view(torch.arange(3.)).expand(5, 3), 'empty': torch._neg_view(torch.empty(0, 3)),
         'scalar': torch._neg_view(torch.tensor(2.5))}
for d in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
    state[str(d)] = torch._neg_view(torch.arange(5).to(d))
assert state['imag'].is_neg() and state['both'].is_conj() and state['both'].is_neg()
save('marks', state)
)",
          "marks");
}

TEST(TorchValues, MetadataOfATensorThatAreNotKnownLeaveItUnread) {
  const auto with = [](const std::string& metadata) {
    const TemporaryFolder folder;
    const auto tensor = pickle::global("torch._utils", "_rebuild_tensor_v2") + "(" +
                        pickle::storage("FloatStorage", "0", 6) + pickle::number(0) + pickle::numbers({6}) +
                        pickle::numbers({1}) + "\x89" + pickle::global("collections", "OrderedDict") + ")R" + metadata +
                        "tR";
    const auto plain = pickle::tensor(pickle::storage("FloatStorage", "0", 6), 0, {6}, {1});
    std::string floats;
    for (const float v : {0.F, 1.F, 2.F, 3.F, 4.F, 5.F}) floats += test::little(v);
    test::write_text(folder / "a.pt", test::torch_zip(pickle::dict({{"p", plain}, {"w", tensor}}), floats));
    return tensors::read_weights(folder / "a.pt");
  };
  EXPECT_TRUE(at::equal(with("}").tensors.at("w"), at::arange(6, at::kFloat)));
  EXPECT_TRUE(at::equal(with(pickle::dict({{"neg", "\x88"}})).tensors.at("w"), -at::arange(6, at::kFloat)));
  for (const auto& metadata : {pickle::dict({{"mirrored", "\x88"}}), pickle::dict({{"conj", "\x88"}}), std::string("]"),
                               pickle::dict({{"neg", "\x88"}}) + "N"}) {
    const auto read = with(metadata);
    EXPECT_EQ(read.tensors.size(), 1U);
    EXPECT_TRUE(read.unread.contains("w"));
  }
}

TEST(TorchValues, WhatIsWrittenOfMarkedTensorsIsTheirValue) {
  const TemporaryFolder folder;
  const Tensor c = torch::randn({3, 4}, at::kComplexFloat);
  const std::map<std::string, Tensor> marked{
      {"neg", at::_neg_view(at::arange(5, at::kFloat))}, {"imag", at::imag(c.conj())}, {"conj", c.conj().t()}};
  std::map<std::string, Tensor> values;
  for (const auto& [name, tensor] : marked) values[name] = tensor.resolve_neg().resolve_conj().contiguous();
  tensors::write_torch(folder / "a.pt", marked);
  expect_same(tensors::read_weights(folder / "a.pt").tensors, values);
  tensors::write_tensors(folder / "a.safetensors", {marked, {}});
  expect_same(tensors::read_tensors(folder / "a.safetensors").tensors, values);
  tensors::write_npz(folder / "a.npz", marked);
  expect_same(tensors::read_npz(folder / "a.npz"), values);
}

TEST(TorchValues, ObjectsOfUnknownClassesBesideTheWeightsHideNothing) {
  SDG_NEEDS_PYTHON("torch numpy safetensors");
  const auto read = compare(R"(
callback = a_class('pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint')
attributes = a_class('pytorch_lightning.utilities.parsing.AttributeDict', dict)
scaler = a_class('deepspeed.runtime.fp16.loss_scaler.LossScaler')
listing = a_class('fvcore.common.Listing', list)
slots = a_class('somewhere.Slots', __slots__=('a', 'b'))
stateful = a_class('somewhere.Stateful', __getstate__=lambda s: ('own', 3), __setstate__=lambda s, state: None)
pair = collections.namedtuple('Pair', 'a b'); pair.__module__ = 'somewhere'; a_class('somewhere.Other'); sys.modules['somewhere'].Pair = pair
colour = enum.Enum('Colour', 'RED BLUE', module='somewhere'); sys.modules['somewhere'].Colour = colour
function = a_function('somewhere.schedule', lambda step: step)
class Data: pass
Data.__module__, Data.__qualname__ = 'somewhere', 'Data'; sys.modules['somewhere'].Data = Data
data = Data(); data.owner = data; data.children = [data, {'back': data}]; data.lr = 0.25
s = slots(); s.a = 1; s.b = 'two'
loss = scaler(); loss.cur_scale = 65536.0; loss.owner = data
state = collections.OrderedDict({'blocks.0.w': torch.arange(4.), 'shared': torch.ones(2), 5: torch.zeros(1)})
hyper = attributes(lr=1e-4, name='uvit', nested=attributes(depth=3))
save('lightning', {'epoch': 3, 'global_step': 7, 'state_dict': {str(k): v for k, v in state.items()},
  'callbacks': {callback: {'monitor': 'val/loss', 'best_model_score': torch.tensor(0.5)}}, 'hyper_parameters': hyper,
  'loss_scaler': loss, 'list': listing([1, 2]), 'slots': s, 'stateful': stateful(), 'pair': pair(1, 2), 'colour': colour.RED,
  'partial': functools.partial(function, 3), 'function': function, 'path': pathlib.PurePosixPath('/data/x'), 'date': datetime.datetime(2024, 1, 2),
  'delta': datetime.timedelta(3), 'fset': frozenset({1, 2}), 'set': {3}, 'slice': slice(1, 2), 'complex': 1 + 2j, 'bytes': b'\xff\x00a', 'array': bytearray(b'\xff'),
  'big': 1 << 90, 'none': None, 'counter': collections.Counter('aab'), 'default': collections.defaultdict(list, {'k': [1]}),
  'deque': collections.deque([1, 2], 5), 'types': [int, float, str, bool, type(None)], 'dtype': torch.bfloat16, 'device': torch.device('cuda:0'), 'size': torch.Size([2, 3]),
  'f64': np.float64(1.5), 'f4': np.float32(0.5), 'f2': np.float16(0.25), 'i8': np.int64(-3), 'u2': np.uint16(7), 'big_endian': np.dtype('>f8').type(2.0), 'np_bool': np.bool_(True),
  'np_dtype': np.dtype('>i4'), 'objects': np.array([{'a': 1}, None], dtype=object), 'range': range(3), 'ellipsis': Ellipsis},
  lambda x: x['state_dict'], protocols=(2, 3, 4, 5))  # protocol 1 has no slots
)",
                            "lightning", "state_dict", 8);
  ASSERT_FALSE(read.empty());
  for (const auto& weights : read) {
    EXPECT_EQ(weights.metadata.at("hyper_parameters.nested.depth"), "3");
    EXPECT_EQ(weights.metadata.at("callbacks.pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint.monitor"),
              "val/loss");
    EXPECT_EQ(weights.metadata.at("loss_scaler.owner.lr"), "0.25");
    EXPECT_EQ(weights.metadata.at("f4"), "0.5");
    EXPECT_EQ(weights.metadata.at("f2"), "0.25");
    EXPECT_EQ(weights.metadata.at("i8"), "-3");
    EXPECT_EQ(weights.metadata.at("u2"), "7");
    EXPECT_EQ(weights.metadata.at("big_endian"), "2");
    EXPECT_EQ(weights.metadata.at("counter.a"), "2");
    EXPECT_EQ(weights.metadata.at("slots.b"), "two");
  }
}

TEST(TorchValues, NodesOfOmegaConfAreWhatTheyMean) {
  SDG_NEEDS_PYTHON("torch numpy safetensors");
  const auto read = compare(R"(
a_class('omegaconf.base.ContainerMetadata'); a_class('omegaconf.base.Metadata')
base = sys.modules['omegaconf.base']
dictionary, listing, node = (a_class('omegaconf.' + n) for n in ('dictconfig.DictConfig', 'listconfig.ListConfig', 'nodes.AnyNode'))
import typing
def metadata(of, key):
    of.__dict__.update(ref_type=typing.Any, object_type=dict, optional=True, key=key, flags={}, flags_root=False,
                       resolver_cache=collections.defaultdict(dict), key_type=typing.Any, element_type=typing.Any)
    return of
def config(value, parent=None, key=None):
    out = (dictionary if isinstance(value, dict) else listing if isinstance(value, list) else node)()
    out._metadata, out._parent, out._flags_cache = metadata(base.ContainerMetadata(), key), parent, None
    if isinstance(value, dict): out._content = {k: config(v, out, k) for k, v in value.items()}
    elif isinstance(value, list): out._content = [config(v, out, i) for i, v in enumerate(value)]
    else: out._val = value
    return out
whole = config({'model': {'lr': 1e-3, 'betas': [0.5, 1], 'name': 'x', 'n': None}, 'b': True})
save('config', {'state_dict': {'w': torch.arange(4.)}, 'hyper_parameters': whole, 'part': whole._content['model']},
     lambda x: x['state_dict'])
)",
                            "config");
  for (const auto& weights : read) {
    EXPECT_EQ(weights.metadata.at("hyper_parameters.model.lr"), "0.001");
    EXPECT_EQ(weights.metadata.at("hyper_parameters.model.name"), "x");
    EXPECT_EQ(weights.metadata.at("hyper_parameters.b"), "true");
    for (const auto& [key, unused] : weights.metadata) EXPECT_THAT(key, Not(HasSubstr("_parent")));
  }
}

TEST(TorchValues, APickledModuleHasTheNamesOfItsStateDict) {
  SDG_NEEDS_PYTHON("torch numpy safetensors");
  compare(R"(
net = a_class('research.nets.Net', torch.nn.Module)
def make():
    m = net(); torch.nn.Module.__init__(m)
    m.layer = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 2, bias=False))
    m.register_buffer('table', torch.arange(3.)); m.register_buffer('scratch', torch.zeros(9), persistent=False)
    m.extra = torch.ones(7)
    m.owner = [m]
    return m
save('module', make(), lambda x: x.state_dict())
)",
          "module");
}

TEST(TorchValues, ArraysOfNumpyAreTensors) {
  SDG_NEEDS_PYTHON("torch numpy safetensors");
  compare(R"(
state = {'c': np.arange(6, dtype=np.float32).reshape(2, 3), 'f': np.asfortranarray(np.arange(6.).reshape(2, 3)), 'big': np.arange(4, dtype='>i4'),
         'bool': np.array([True, False]), 'empty': np.zeros((0, 3)), 'scalar': np.array(2.5), 'half': np.arange(3, dtype=np.float16), 'u2': np.arange(3, dtype='>u2'),
         'permuted': np.arange(24.).reshape(2, 3, 4).transpose(1, 0, 2)}
save('arrays', state, lambda x: {k: torch.from_numpy(np.ascontiguousarray(v.astype(v.dtype.newbyteorder('='))).reshape(v.shape)) for k, v in x.items()})
)",
          "arrays");
}

TEST(TorchValues, ATensorThatCannotBeReadIsNamedAndTheOthersAreRead) {
  SDG_NEEDS_PYTHON("torch numpy safetensors");
  const TemporaryFolder folder;
  const auto python = test::run_python(std::string(kPrelude) + R"(
unpack = a_function('somewhere.unpack', lambda *x: None)
class Packed:
    def __reduce__(self): return unpack, ({'deep': [torch.ones(2)]}, 3)
class Wrapped(torch.Tensor):
    @staticmethod
    def __new__(cls, inner): return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
    def __init__(self, inner): self.inner = inner
    @classmethod
    def __torch_dispatch__(cls, f, t, a=(), k=None): return f(*[getattr(x, 'inner', x) for x in a], **(k or {}))
Packed.__module__ = Wrapped.__module__ = 'somewhere'; sys.modules['somewhere'].Wrapped = Wrapped
objects = np.empty(1, object); objects[0] = torch.ones(1)
state = {'w': torch.arange(4.), 'sparse': torch.eye(3).to_sparse(), 'csr': torch.eye(3).to_sparse_csr(), 'meta': torch.empty(3, device='meta'),
  'quantised': torch.quantize_per_tensor(torch.arange(3.), 0.1, 0, torch.qint8), 'packed': Packed(), 'wrapped': Wrapped(torch.ones(2)),
  'nested': torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), 'storage': torch.ones(3).untyped_storage(),
  'objects': objects, 'text': np.array(['a', 'b']), 'parameter': torch.nn.Parameter(torch.eye(2).to_sparse())}
torch.save({'model': state, 'step': 3}, folder + '/a.pt')
)",
                                       {folder.path().string()});
  ASSERT_EQ(python.status, 0) << python.output;
  const auto read = tensors::read_weights(folder / "a.pt", "model");
  ASSERT_EQ(read.tensors.size(), 1U);
  EXPECT_TRUE(at::equal(read.tensors.at("w"), at::arange(4, at::kFloat)));
  const auto why = [&](const std::string& name) { return read.unread.contains(name) ? read.unread.at(name) : "?"; };
  EXPECT_THAT(why("sparse"), HasSubstr("is sparse"));
  EXPECT_THAT(why("csr"), HasSubstr("is sparse"));
  EXPECT_THAT(why("parameter"), HasSubstr("is sparse"));
  EXPECT_THAT(why("quantised"), HasSubstr("is quantised"));
  EXPECT_THAT(why("meta"), HasSubstr("holds no data"));
  EXPECT_THAT(why("packed"), HasSubstr("is made of tensors by somewhere.unpack"));
  EXPECT_THAT(why("wrapped"), HasSubstr("is made"));
  EXPECT_THAT(why("nested"), HasSubstr("is nested"));
  EXPECT_THAT(why("storage"), HasSubstr("memory without a shape"));
  EXPECT_THAT(why("objects"), HasSubstr("is made of tensors by numpy.ndarray"));
  EXPECT_THAT(why("text"), HasSubstr("holds text"));
  EXPECT_EQ(read.unread.size(), 11U);
}

TEST(TorchValues, TheFilesThatUsersHaveAreRead) {
  const auto faults = std::filesystem::path(SDG_SOURCE_DIR) / ".." / "shared" / "faults";
  if (!std::filesystem::exists(faults)) GTEST_SKIP() << "no ../shared/faults";
  EXPECT_TRUE(at::equal(tensors::read_weights(faults / "neg_conj_bit" / "small_neg.pt").tensors.at("w"),
                        torch::tensor({-1.F, -2.F, -3.F})));
  for (const std::string name : {"sd14_like.ckpt", "oc_2.3.0.pt", "oc_2.3.0_one.pt", "b_fset.pt"}) {
    const auto read = tensors::read_weights(faults / "lightning_omegaconf" / name);
    EXPECT_EQ(read.tensors.size(), 1U) << name;
    EXPECT_TRUE(read.unread.empty()) << name;
  }
}
