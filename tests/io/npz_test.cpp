#include "sdg/io/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "sdg/core/error.h"
#include "support/python.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace {

const std::vector<at::ScalarType> kDtypes = {at::kBool, at::kByte,  at::kChar,   at::kShort,  at::kInt,    at::kLong,
                                             at::kHalf, at::kFloat, at::kDouble, at::kUInt16, at::kUInt32, at::kUInt64};

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
    EXPECT_TRUE(at::equal(array.to(at::kDouble), b.at(name).to(at::kDouble))) << name;
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
  const auto message = message_of<Error>([&] { io::read_npy(folder / "a.npy"); });
  EXPECT_THAT(message, StartsWith((folder / "a.npy").string() + ": "));
  return message;
}

}  // namespace

TEST(Npz, EveryDtypeComesBackAsItWas) {
  const TemporaryFolder folder;
  io::write_npz(folder / "a.npz", one_of_each());
  expect_same(io::read_npz(folder / "a.npz"), one_of_each());
}

TEST(Npz, TheSameArraysGiveTheSameBytes) {
  const TemporaryFolder folder;
  io::write_npz(folder / "a.npz", one_of_each());
  io::write_npz(folder / "b.npz", one_of_each());
  EXPECT_EQ(test::read_text(folder / "a.npz"), test::read_text(folder / "b.npz"));
}

TEST(Npz, ContentsAndAChoiceOfArraysComeWithoutTheRest) {
  const TemporaryFolder folder;
  io::write_npz(folder / "a.npz", {{"arr_0", at::zeros({100, 4}, at::kByte)}, {"mu", at::ones({7}, at::kDouble)}});
  const auto contents = io::npz_contents(folder / "a.npz");
  ASSERT_EQ(contents.size(), 2U);
  EXPECT_EQ(contents.at("arr_0").shape, (Shape{100, 4}));
  EXPECT_EQ(contents.at("mu").dtype, at::kDouble);
  const auto chosen = io::read_npz(folder / "a.npz", [](const std::string& name) { return name == "mu"; });
  ASSERT_EQ(chosen.size(), 1U);
  EXPECT_TRUE(at::equal(chosen.at("mu"), at::ones({7}, at::kDouble)));
}

TEST(Npz, RowsComeInOrderAndTheLastBatchIsShorter) {
  const TemporaryFolder folder;
  const Tensor images = at::arange(10 * 2 * 3, at::kByte).view({10, 2, 3});
  io::write_npz(folder / "a.npz", {{"arr_0", images}, {"scalar", torch::tensor(1)}});
  std::vector<Tensor> batches;
  io::read_npz_rows(folder / "a.npz", "arr_0", 4, [&](const Tensor& batch) { batches.push_back(batch); });
  ASSERT_EQ(batches.size(), 3U);
  EXPECT_EQ(batches[2].size(0), 2);
  EXPECT_TRUE(at::equal(at::cat(batches), images));
  const auto refusal = [&](const std::string& name) {
    return message_of<Error>([&] { io::read_npz_rows(folder / "a.npz", name, 4, [](const Tensor&) {}); });
  };
  EXPECT_THAT(refusal("arr_1"), HasSubstr("no array 'arr_1'"));
  EXPECT_THAT(refusal("scalar"), HasSubstr("expected rows, got a scalar"));
}

TEST(Npz, AFileCutAnywhereIsRefused) {
  const TemporaryFolder folder;
  io::write_npz(folder / "a.npz", {{"x", at::randint(255, {3000}, at::kByte)}, {"y", at::ones({50})}});
  const std::string whole = test::read_text(folder / "a.npz");
  for (size_t percent = 0; percent < 100; ++percent) {
    test::write_text(folder / "cut.npz", whole.substr(0, whole.size() * percent / 100));
    EXPECT_THAT(message_of<Error>([&] { io::read_npz(folder / "cut.npz"); }),
                StartsWith((folder / "cut.npz").string() + ": "))
        << percent;
  }
}

TEST(Npz, AChangedByteInTheDataIsFoundByTheChecksum) {
  const TemporaryFolder folder;
  io::write_npz(folder / "a.npz", {{"x", at::full({3000}, 42, at::kByte)}});
  std::string bytes = test::read_text(folder / "a.npz");
  bytes[2000] = 43;
  test::write_text(folder / "a.npz", bytes);
  EXPECT_THAT(message_of<Error>([&] { io::read_npz(folder / "a.npz"); }), HasSubstr("CRC"));
}

TEST(Npz, WhatIsNoNpzOrIsMissingIsAnError) {
  const TemporaryFolder folder;
  test::write_text(folder / "text.npz", "hello, world, this is a text and not a zip");
  EXPECT_THAT(message_of<Error>([&] { io::read_npz(folder / "text.npz"); }),
              HasSubstr("text.npz: not a readable .npz"));
  EXPECT_THAT(message_of<Error>([&] { io::read_npz(folder / "none.npz"); }), HasSubstr("No such file or directory"));
  EXPECT_THAT(message_of<Error>([&] { io::write_npz(folder / "b.npz", {{"x", at::ones({2}, at::kBFloat16)}}); }),
              HasSubstr("NumPy has no dtype for BFloat16"));
  EXPECT_FALSE(std::filesystem::exists(folder / "b.npz"));
}

TEST(Npy, VersionsOneToThreeAndPythonTwosLongs) {
  const TemporaryFolder folder;
  const std::string dictionary = "{'descr': '|u1', 'fortran_order': False, 'shape': (2L, 3), }  \n";
  for (const char version : {'\1', '\2', '\3'}) {
    test::write_text(folder / "a.npy", npy_bytes(dictionary, 6, version));
    EXPECT_TRUE(at::equal(io::read_npy(folder / "a.npy"), at::ones({2, 3}, at::kByte))) << int{version};
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
    io::read_npy(folder / "a.npy");
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
      {array("'>f4'", "False", "(4,)", 16), "big-endian data ('>f4') is not supported"},
      {array("'|O'", "False", "(4,)", 16), "object arrays are pickled code"},
      {array("'<U5'", "False", "(4,)", 80), "dtype '<U5' is not supported"},
      {array("'<c8'", "False", "(4,)", 32), "dtype '<c8' is not supported"},
      {array("[('a', '<f4')]", "False", "(4,)", 16), "arrays of records are not supported"},
      {array("'<f4'", "True", "(2, 2)", 16), "Fortran order is not supported"},
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
  io::write_npz(folder / "ours.npz", one_of_each());
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
  expect_same(io::read_npz(folder / "stored.npz"), one_of_each());
  expect_same(io::read_npz(folder / "deflated.npz"), one_of_each());
  const auto samples = io::read_npz(folder / "samples.npz");
  EXPECT_EQ(samples.at("arr_0").sizes(), (Shape{10, 8, 8, 3}));
  EXPECT_TRUE(at::equal(samples.at("arr_0"), io::read_npy(folder / "images.npy")));
  EXPECT_TRUE(at::equal(samples.at("arr_1"), at::arange(10)));
  EXPECT_THAT(message_of<Error>([&] { io::read_npz(folder / "pickled.npz"); }), HasSubstr("array 'x': object arrays"));
  EXPECT_EQ(io::read_npz(folder / "zeros.npz").at("x").size(0), 3'000'000) << "DEFLATE's best ratio is allowed";
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
  EXPECT_THAT(message_of<Error>([&] { io::read_npz(folder / "bomb.npz"); }),
              HasSubstr("array 'x': truncated: expected 80000000000000"));
  EXPECT_THAT(message_of<Error>([&] { io::read_npz(folder / "long.npz"); }), HasSubstr("array 'x': too long"));
  EXPECT_EQ(io::read_npz(folder / "mixed.npz").size(), 1U) << "members that are no arrays are passed over";
}
