#include "sdg/tensors/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <fstream>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "support/python.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace {

const std::vector<at::ScalarType> kDtypes = {
    at::kBool,  at::kByte,   at::kChar,   at::kShort,  at::kInt,    at::kLong,         at::kHalf,
    at::kFloat, at::kDouble, at::kUInt16, at::kUInt32, at::kUInt64, at::kComplexFloat, at::kComplexDouble};

std::map<std::string, Tensor> one_of_each() {
  std::map<std::string, Tensor> out;
  for (const auto dtype : kDtypes) {
    out[c10::toString(dtype)] = torch::tensor({0, 1, 1, 0, 1, 1}, at::kFloat).to(dtype).view({2, 3});
  }
  out["scalar"] = torch::tensor(2.5);
  out["empty"] = at::empty({0, 3});
  out["line"] = at::arange(5);
  out["view"] = at::arange(6, at::kFloat).view({2, 3}).t();
  return out;
}

void expect_same(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, array] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_EQ(array.scalar_type(), b.at(name).scalar_type()) << name;
    ASSERT_EQ(array.sizes(), b.at(name).sizes()) << name;
    EXPECT_TRUE(at::equal(array.to(at::kComplexDouble), b.at(name).to(at::kComplexDouble))) << name;
  }
}

std::string npy_bytes(const std::string& dictionary, size_t data_bytes, char version = 1) {
  std::string out = std::string("\x93NUMPY") + version + '\0';
  out += static_cast<char>(dictionary.size() & 255);
  out += static_cast<char>(dictionary.size() >> 8);
  if (version > 1) out += std::string(2, '\0');
  return out + dictionary + std::string(data_bytes, '\1');
}

std::string rejection(const std::string& bytes) {
  const TemporaryFolder folder;
  test::write_text(folder / "a.npy", bytes);
  const auto message = message_of<Error>([&] { tensors::read_npy(folder / "a.npy"); });
  EXPECT_THAT(message, StartsWith((folder / "a.npy").string() + ": "));
  return message;
}

}  // namespace

TEST(Npz, EveryDtypeComesBackAsItWas) {
  const TemporaryFolder folder;
  tensors::write_npz(folder / "a.npz", one_of_each());
  expect_same(tensors::read_npz(folder / "a.npz"), one_of_each());
}

TEST(Npz, TheSameArraysGiveTheSameBytes) {
  const TemporaryFolder folder;
  tensors::write_npz(folder / "a.npz", one_of_each());
  tensors::write_npz(folder / "b.npz", one_of_each());
  EXPECT_EQ(test::read_text(folder / "a.npz"), test::read_text(folder / "b.npz"));
}

TEST(Npz, ContentsAndAChoiceOfArraysComeWithoutTheRest) {
  const TemporaryFolder folder;
  tensors::write_npz(folder / "a.npz", {{"arr_0", at::zeros({100, 4}, at::kByte)}, {"mu", at::ones({7}, at::kDouble)}});
  const auto contents = tensors::npz_contents(folder / "a.npz");
  ASSERT_EQ(contents.size(), 2U);
  EXPECT_EQ(contents.at("arr_0").shape, (Shape{100, 4}));
  EXPECT_EQ(contents.at("mu").dtype, at::kDouble);
  const auto chosen = tensors::read_npz(folder / "a.npz", [](const std::string& name) { return name == "mu"; });
  ASSERT_EQ(chosen.size(), 1U);
  EXPECT_TRUE(at::equal(chosen.at("mu"), at::ones({7}, at::kDouble)));
}

TEST(Npz, RowsComeInOrderAndTheLastBatchIsShorter) {
  const TemporaryFolder folder;
  const Tensor images = at::arange(10 * 2 * 3, at::kByte).view({10, 2, 3});
  tensors::write_npz(folder / "a.npz", {{"arr_0", images}, {"scalar", torch::tensor(1)}});
  std::vector<Tensor> batches;
  tensors::read_npz_rows(folder / "a.npz", "arr_0", 4, [&](const Tensor& batch) { batches.push_back(batch); });
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[2].size(0), 2);
  EXPECT_TRUE(at::equal(at::cat(batches), images));
  const auto refusal = [&](const std::string& name) {
    return message_of<Error>([&] { tensors::read_npz_rows(folder / "a.npz", name, 4, [](const Tensor&) {}); });
  };
  EXPECT_THAT(refusal("arr_1"), HasSubstr("no array 'arr_1'"));
  EXPECT_THAT(refusal("scalar"), HasSubstr("expected rows, got a scalar"));
}

TEST(Npz, AFileCutAnywhereIsRefused) {
  const TemporaryFolder folder;
  tensors::write_npz(folder / "a.npz", {{"x", at::randint(255, {3000}, at::kByte)}, {"y", at::ones({50})}});
  const std::string whole = test::read_text(folder / "a.npz");
  for (size_t percent = 0; percent < 100; ++percent) {
    test::write_text(folder / "cut.npz", whole.substr(0, whole.size() * percent / 100));
    EXPECT_THAT(message_of<Error>([&] { tensors::read_npz(folder / "cut.npz"); }),
                StartsWith((folder / "cut.npz").string() + ": "))
        << percent;
  }
}

TEST(Npz, AChangedByteInTheDataIsFoundByTheChecksum) {
  const TemporaryFolder folder;
  tensors::write_npz(folder / "a.npz", {{"x", at::full({3000}, 42, at::kByte)}});
  std::string bytes = test::read_text(folder / "a.npz");
  bytes[2000] = 43;
  test::write_text(folder / "a.npz", bytes);
  EXPECT_THAT(message_of<Error>([&] { tensors::read_npz(folder / "a.npz"); }), HasSubstr("CRC"));
}

TEST(Npz, WhatIsNoNpzOrIsMissingIsAnError) {
  const TemporaryFolder folder;
  test::write_text(folder / "text.npz", "hello, world, this is a text and not a zip");
  EXPECT_THAT(message_of<Error>([&] { tensors::read_npz(folder / "text.npz"); }),
              HasSubstr("text.npz: not a readable .npz"));
  EXPECT_THAT(message_of<Error>([&] { tensors::read_npz(folder / "none.npz"); }),
              HasSubstr("No such file or directory"));
  EXPECT_THAT(message_of<Error>([&] { tensors::write_npz(folder / "b.npz", {{"x", at::ones({2}, at::kBFloat16)}}); }),
              HasSubstr("NumPy has no dtype for BFloat16"));
  EXPECT_FALSE(std::filesystem::exists(folder / "b.npz"));
}

TEST(Npy, VersionsOneToThreeAndPythonTwosLongs) {
  const TemporaryFolder folder;
  const std::string dictionary = "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3), }  \n";
  for (const char version : {'\1', '\2', '\3'}) {
    test::write_text(folder / "a.npy", npy_bytes(dictionary, 6, version));
    EXPECT_TRUE(at::equal(tensors::read_npy(folder / "a.npy"), at::ones({2, 3}, at::kByte))) << int{version};
  }
}

TEST(Npy, EveryClassOfMalformedOrForeignArrayIsRefusedWithItsOwnMessage) {
  const auto array = [](const std::string& descr, const std::string& order, const std::string& shape,
                        size_t data_bytes) {
    return npy_bytes("{'descr': " + descr + ", 'fortran_order': " + order + ", 'shape': " + shape + ", }", data_bytes);
  };
  EXPECT_NO_THROW(([&] {
    const TemporaryFolder folder;
    test::write_text(folder / "a.npy", array("'|u1'", "False", "(4,)", 4));
    tensors::read_npy(folder / "a.npy");
  }()));
  const std::vector<std::pair<std::string, std::string>> corpus = {
      {"", "truncated .npy"},
      {"\x93NUM", "truncated .npy"},
      {"hello, world", "not an .npy array"},
      {npy_bytes("{}", 0, 4), ".npy version 4 is not known"},
      {npy_bytes("{}", 0), "expected descr, fortran_order and shape"},
      {npy_bytes("", 0), "expected { at character 0"},
      {npy_bytes("{'descr': '<f4', 'descr': '<f4'}", 0), "descr comes twice"},
      {npy_bytes("{'other': 1}", 0), "unknown key 'other'"},
      {npy_bytes("{'descr': '<f4", 0), "a string does not end"},
      {array("'|u1'", "False", "(4,)", 4).replace(20, 1, ":"), "damaged .npy header"},
      {array("'|O'", "False", "(4,)", 16), "cannot be read: it holds Python objects, which are pickled code"},
      {array("'<U5'", "False", "(4,)", 80), "cannot be read: it holds text (dtype '<U5')"},
      {array("'|S5'", "False", "(4,)", 20), "cannot be read: it holds text"},
      {array("'<M8[ns]'", "False", "(4,)", 32), "cannot be read: it holds dates"},
      {array("'|V2'", "False", "(4,)", 8), "raw bytes without a type (dtype '|V2')"},
      {array("'<f16'", "False", "(4,)", 64), "of a type that is not read (dtype '<f16')"},
      {array("[('a', '<f4')]", "False", "(4,)", 16), "is an array of records"},
      {array("[('a', '<f4'", "False", "(4,)", 16), "a list does not end"},
      {array("'<f4'", "Maybe", "(2, 2)", 16), "expected True or False"},
      {array("'<f4'", "False", "(-2, 2)", 16), "expected a whole number"},
      {array("'<f4'", "False", "(99999999999999999999, 2)", 16), "number too large"},
      {array("'<f4'", "False", "(4294967296, 4294967296)", 16), "overflows"},
      {array("'<f4'", "False", "(0, 4294967296, 4294967296)", 0), "overflows"},
      {array("'<f4'", "False", "(1000000000000,)", 16), "truncated: expected"},
      {array("'|u1'", "False", "(4,)", 3), "truncated: expected"},
      {array("'|u1'", "False", "(4,)", 5), "too long: expected"},
  };
  for (const auto& [bytes, message] : corpus) EXPECT_THAT(rejection(bytes), HasSubstr(message));
}

TEST(Npz, NumpyAndWeReadEachOther) {
  SDG_NEEDS_PYTHON("numpy");
  const TemporaryFolder folder;
  tensors::write_npz(folder / "ours.npz", one_of_each());
  const auto result = test::run_python(R"(
import sys, zipfile, numpy as np
folder = sys.argv[1]
ours = dict(np.load(folder + "/ours.npz"))
assert ours["view"].tolist() == [[0, 3], [1, 4], [2, 5]] and ours["scalar"].shape == () and ours["empty"].shape == (0, 3)
assert ours["Byte"].dtype == np.uint8 and ours["Half"].dtype == np.float16 and ours["Bool"].dtype == np.bool_
assert zipfile.ZipFile(folder + "/ours.npz").testzip() is None
np.savez(folder + "/stored.npz", **ours)
np.savez_compressed(folder + "/deflated.npz", **ours)
images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)
np.savez(folder + "/samples.npz", images, np.arange(10))
np.save(folder + "/images.npy", images)
np.savez(folder + "/pickled.npz", x=np.array([{}, None]))
np.savez_compressed(folder + "/zeros.npz", x=np.zeros(3_000_000, np.uint8))
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  expect_same(tensors::read_npz(folder / "stored.npz"), one_of_each());
  expect_same(tensors::read_npz(folder / "deflated.npz"), one_of_each());
  const auto samples = tensors::read_npz(folder / "samples.npz");
  EXPECT_EQ(samples.at("arr_0").sizes(), (Shape{10, 8, 8, 3}));
  EXPECT_TRUE(at::equal(samples.at("arr_0"), tensors::read_npy(folder / "images.npy")));
  EXPECT_TRUE(at::equal(samples.at("arr_1"), at::arange(10)));
  std::map<std::string, std::string> unread;
  EXPECT_TRUE(tensors::read_npz(folder / "pickled.npz", {}, &unread).empty());
  EXPECT_THAT(unread.at("x"), HasSubstr("holds Python objects"));
  EXPECT_EQ(tensors::read_npz(folder / "zeros.npz").at("x").size(0), 3'000'000) << "DEFLATE's best ratio is allowed";
}

// The zip states a size, the array another: told before memory is taken.
TEST(Npz, SizesThatContradictTheZipAreRefused) {
  SDG_NEEDS_PYTHON("numpy");
  const TemporaryFolder folder;
  const auto result = test::run_python(R"(
import sys, zipfile
def header(shape): 
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }" % shape
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()
with zipfile.ZipFile(sys.argv[1] + "/bomb.npz", "w") as z: z.writestr("x.npy", header(10**15) + b"\0" * 80)
with zipfile.ZipFile(sys.argv[1] + "/long.npz", "w") as z: z.writestr("x.npy", header(1) + b"\0" * 80)
with zipfile.ZipFile(sys.argv[1] + "/mixed.npz", "w") as z:
    z.writestr("readme.txt", "no array"); z.writestr("x.npy", header(1) + b"\0" * 8)
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(message_of<Error>([&] { tensors::read_npz(folder / "bomb.npz"); }),
              HasSubstr("array 'x': truncated: expected 80000000000000"));
  EXPECT_THAT(message_of<Error>([&] { tensors::read_npz(folder / "long.npz"); }), HasSubstr("array 'x': too long"));
  EXPECT_EQ(tensors::read_npz(folder / "mixed.npz").size(), 1U) << "members that are no arrays are passed over";
}

// Every array that NumPy can save, and what NumPy itself reads from the file, as plain C-ordered arrays in a folder.
TEST(Npz, ArraysOfEveryOrderAndNameAreWhatNumpyReads) {
  SDG_NEEDS_PYTHON("numpy");
  const TemporaryFolder folder;
  const auto result = test::run_python(R"(
import io, os, sys, zipfile, numpy as np
folder = sys.argv[1]
r = np.random.default_rng(0)
kinds = ['?', 'u1', 'i1', 'u2', 'i2', 'u4', 'i4', 'u8', 'i8', 'f2', 'f4', 'f8', 'c8', 'c16']
arrays = {}
for kind in kinds:
    for order in '<>':
        a = (r.standard_normal((3, 4, 5)) * 50).astype(np.dtype(kind).newbyteorder(order))
        arrays[kind.replace('?', 'b') + ('L' if order == '<' else 'B')] = a
        arrays[kind.replace('?', 'b') + 'F' + ('L' if order == '<' else 'B')] = np.asfortranarray(a)
arrays.update({'gr\u00f6\u00dfe': np.arange(3.), '\u65e5\u672c/\u8a9e': np.arange(4), 'sp ace.npy': np.arange(2), 'scalar': np.array(2.5), 'scalarB': np.array(7, '>i4'),
  'empty': np.zeros((0, 3), '>f8'), 'emptyF': np.zeros((3, 0), order='F'), 'column': np.asfortranarray(np.arange(6.).reshape(3, 2))[:, 1]})
unread = {'objects': np.array([{}, None]), 'text': np.array(['a', 'bc']), 'bytes': np.array([b'a']), 'records': np.zeros(2, [('a', '<f4'), ('b', 'O')]),
  'dates': np.array(['2024-01-01'], 'M8[D]'), 'long': np.zeros(2, np.longdouble)}
np.savez(folder + '/stored.npz', **arrays, **unread)
np.savez_compressed(folder + '/deflated.npz', **unread, **arrays)
class Pipe(io.RawIOBase):  # cannot seek: zipfile writes data descriptors
    def __init__(self, path): self.f = open(path, 'wb')
    def writable(self): return True
    def write(self, b): return self.f.write(b)
np.savez_compressed(Pipe(folder + '/piped.npz'), **arrays, **unread)
with zipfile.ZipFile(folder + '/old.npz', 'w') as z:  # names as DOS wrote them
    for i, name in enumerate(['gr\u00f6\u00dfe', 'plain']):
        info = zipfile.ZipInfo('n%dnnn.npy' % i)
        b = io.BytesIO(); np.save(b, np.arange(3.) + i); z.writestr(info, b.getvalue())
raw = open(folder + '/old.npz', 'rb').read().replace(b'n0nnn', 'gr\u00f6\u00dfe'.encode('cp437')).replace(b'n1nnn', b'plain')
open(folder + '/old.npz', 'wb').write(raw)
for name in ('stored', 'deflated', 'piped', 'old'):
    os.mkdir(folder + '/' + name)
    with np.load(folder + '/' + name + '.npz', allow_pickle=True) as z:
        with open(folder + '/' + name + '/names', 'w') as names:
            for i, key in enumerate(k for k in z.files if k not in unread):
                a = z[key]
                np.save('%s/%s/%d.npy' % (folder, name, i), np.array(a, a.dtype.newbyteorder('<'), order='C').reshape(a.shape))
                names.write(key + '\n')
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  for (const std::string name : {"stored", "deflated", "piped", "old"}) {
    SCOPED_TRACE(name);
    std::map<std::string, Tensor> expected;
    std::ifstream names(folder / name / "names");
    int64_t i = 0;
    for (std::string key; std::getline(names, key); ++i)
      expected[key] = tensors::read_npy(folder / name / (std::to_string(i) + ".npy"));
    std::map<std::string, std::string> unread;
    const auto read = tensors::read_npz(folder / (name + ".npz"), {}, &unread);
    expect_same(read, expected);
    EXPECT_GE(read.size(), 2U);
    EXPECT_TRUE(read.contains("größe"));
    EXPECT_EQ(unread.size(), name == "old" ? 0U : 6U);
    EXPECT_EQ(tensors::npz_contents(folder / (name + ".npz"), &unread).size(), expected.size());
    for (const auto& [key, array] : expected) {
      if (array.dim() == 0) continue;
      std::vector<Tensor> rows;
      tensors::read_npz_rows(folder / (name + ".npz"), key, 2,
                             [&](const Tensor& some) { rows.push_back(some.clone()); });
      if (!rows.empty())
        EXPECT_TRUE(at::equal(at::cat(rows).to(at::kComplexDouble), array.to(at::kComplexDouble))) << key;
    }
  }
  EXPECT_THAT(message_of<Error>([&] {
                tensors::read_npz(folder / "stored.npz", [](const std::string& name) { return name == "text"; });
              }),
              HasSubstr("array 'text': cannot be read: it holds text"));
}

TEST(Npz, AnArrayThatCannotBeReadIsWarnedOf) {
  SDG_NEEDS_PYTHON("numpy");
  const TemporaryFolder folder;
  ASSERT_EQ(test::run_python("import sys, numpy as np\nnp.savez(sys.argv[1], x=np.arange(3.), o=np.array([{}, 1]))",
                             {(folder / "a.npz").string()})
                .status,
            0);
  std::vector<std::string> warnings;
  log::set_sink([&](log::Level level, std::string_view text) {
    if (level == log::Level::kWarning) warnings.emplace_back(text);
  });
  EXPECT_EQ(tensors::read_npz(folder / "a.npz").size(), 1U);
  log::set_sink({});
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], HasSubstr("array 'o' is left out: it holds Python objects"));
}

TEST(Npz, NamesOfEveryLanguageGoThereAndBack) {
  SDG_NEEDS_PYTHON("numpy");
  const TemporaryFolder folder;
  tensors::write_npz(folder / "a.npz", {{"größe", at::ones({2})}, {"日本", at::zeros({3})}});
  EXPECT_EQ(tensors::read_npz(folder / "a.npz").size(), 2U);
  EXPECT_EQ(test::run_python("import sys, numpy as np\nz = np.load(sys.argv[1])\n"
                             "assert sorted(z.files) == ['gr\\u00f6\\u00dfe', '\\u65e5\\u672c'], z.files\n"
                             "assert z['\\u65e5\\u672c'].shape == (3,)\n",
                             {(folder / "a.npz").string()})
                .status,
            0);
}
