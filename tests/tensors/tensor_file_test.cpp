#include "sdg/tensors/tensor_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstring>

#include "sdg/core/error.h"
#include "sdg/tensors/weights.h"
#include "support/python.h"
#include "support/same_bytes.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace {

const std::vector<at::ScalarType> kDtypes = {
    at::kDouble, at::kFloat, at::kHalf,   at::kBFloat16, at::kLong,   at::kInt,           at::kShort,      at::kChar,
    at::kByte,   at::kBool,  at::kUInt64, at::kUInt32,   at::kUInt16, at::kFloat8_e4m3fn, at::kFloat8_e5m2};

tensors::TensorFile one_of_each() {
  tensors::TensorFile file;
  for (const auto dtype : kDtypes) {
    const Tensor values = torch::tensor({0, 1, 1, 0, 1, 1, 0}, at::kFloat);  // 7: odd, so that order matters
    file.tensors[c10::toString(dtype)] = (dtype == at::kFloat8_e8m0fnu ? values + 1 : values).to(dtype);
  }
  file.tensors["scalar"] = torch::tensor(2.5);
  file.tensors["empty"] = at::empty({0, 3}, at::kHalf);
  file.metadata = {{"format", "pt"}, {"note", "a \"quoted\" line\nand ümlaut"}};
  return file;
}

void expect_same(const tensors::TensorFile& a, const tensors::TensorFile& b) {
  EXPECT_EQ(a.metadata, b.metadata);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) {
    EXPECT_TRUE(test::same_bytes(tensor, b.at(name))) << name;
  }
}

// The bytes of a file with this header and `data_bytes` of zeros.
std::string file_bytes(const std::string& header, size_t data_bytes) {
  uint64_t length = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + header + std::string(data_bytes, '\0');
}

std::string rejection(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder / "bad.safetensors";
  test::write_text(path, bytes);
  const auto message = message_of<Error>([&] { tensors::read_tensors(path); });
  EXPECT_EQ(message_of<Error>([&] { tensors::read_tensor_header(path); }), message);
  EXPECT_THAT(message, StartsWith(path.string() + ": "));
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  return message;
}

}  // namespace

TEST(TensorFile, EveryDtypeComesBackAsItWas) {
  const TemporaryFolder folder;
  const auto file = one_of_each();
  tensors::write_tensors(folder / "a.safetensors", file);
  expect_same(tensors::read_tensors(folder / "a.safetensors"), file);
}

TEST(TensorFile, ViewsAreWrittenInRowMajorOrder) {
  const TemporaryFolder folder;
  const Tensor x = at::arange(24, at::kFloat).view({2, 3, 4});
  tensors::write_tensors(folder / "a.safetensors", {{{"x", x.permute({2, 0, 1}).slice(0, 1, 3)}}, {}});
  EXPECT_TRUE(at::equal(tensors::read_tensors(folder / "a.safetensors").at("x"), x.permute({2, 0, 1}).slice(0, 1, 3)));
}

TEST(TensorFile, TheHeaderAloneGivesShapesWithoutData) {
  const TemporaryFolder folder;
  tensors::write_tensors(folder / "a.safetensors", one_of_each());
  const auto header = tensors::read_tensor_header(folder / "a.safetensors");
  EXPECT_EQ(header.metadata, one_of_each().metadata);
  EXPECT_TRUE(header.at("Float").is_meta());
  EXPECT_EQ(header.at("empty").sizes(), (Shape{0, 3}));
  EXPECT_EQ(header.at("Half").scalar_type(), at::kHalf);
}

TEST(TensorFile, TensorsOutliveTheFileAndWritingToThemLeavesItAlone) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  tensors::write_tensors(path, {{{"x", at::arange(5, at::kFloat)}, {"y", at::ones({3})}}, {}});
  const std::string before = test::read_text(path);
  Tensor x = tensors::read_tensors(path).at("x");
  x.add_(1);
  EXPECT_EQ(test::read_text(path), before);
  tensors::write_tensors(path, {{{"x", x}}, {}});  // over the file that x is mapped from
  EXPECT_TRUE(at::equal(x, at::arange(1, 6, at::kFloat)));
  std::filesystem::remove(path);
  EXPECT_TRUE(at::equal(x, at::arange(1, 6, at::kFloat)));
}

TEST(TensorFile, TensorsStartOnMultiplesOfTheirElementSize) {
  const TemporaryFolder folder;
  tensors::write_tensors(folder / "a.safetensors", one_of_each());
  for (const auto& [name, tensor] : tensors::read_tensors(folder / "a.safetensors").tensors) {
    if (tensor.numel() == 0) continue;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % tensor.element_size(), 0U) << name;
  }
}

TEST(TensorFile, UnalignedDataIsCopied) {
  const TemporaryFolder folder;
  // 61 bytes of header: the data begins at byte 69.
  std::string bytes = file_bytes(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}       })", 0);
  ASSERT_EQ(bytes.size() % 4, 1U);
  const float values[] = {1.5F, -2.0F};
  bytes.append(reinterpret_cast<const char*>(values), sizeof(values));
  test::write_text(folder / "a.safetensors", bytes);
  const Tensor x = tensors::read_tensors(folder / "a.safetensors").at("x");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 4, 0U);
  EXPECT_TRUE(at::equal(x, torch::tensor({1.5F, -2.0F})));
}

TEST(TensorFile, AMissingTensorIsNamed) {
  const tensors::TensorFile file{{{"x", at::ones({1})}}, {}};
  EXPECT_EQ(message_of<Error>([&] { file.at("y", "checkpoint a"); }), "checkpoint a: no tensor 'y' (it holds 1)");
}

TEST(TensorFile, AMissingFileOrAFolderIsAnError) {
  const TemporaryFolder folder;
  EXPECT_EQ(message_of<Error>([&] { tensors::read_tensors(folder / "none"); }),
            (folder / "none").string() + ": cannot read: No such file or directory");
  EXPECT_THAT(message_of<Error>([&] { tensors::read_tensors(folder.path()); }), HasSubstr("not a regular file"));
}

TEST(TensorFile, WhatTheFormatCannotHoldIsNotWritten) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& name, const Tensor& x) {
    return message_of<Error>([&] { tensors::write_tensors(folder / "a.safetensors", {{{name, x}}, {}}); });
  };
  EXPECT_THAT(refusal("z", at::ones({2}, at::kComplexDouble)), HasSubstr("no dtype for ComplexDouble"));
  EXPECT_THAT(refusal("u", Tensor()), HasSubstr("'u' is undefined"));
  EXPECT_THAT(refusal("m", at::empty({2}, at::TensorOptions().device(at::kMeta))),
              HasSubstr("must be dense and hold data"));
  EXPECT_THAT(refusal("__metadata__", at::ones({2})), HasSubstr("cannot be called __metadata__"));
  EXPECT_THAT(refusal("\xFF", at::ones({2})), HasSubstr("must be UTF-8"));
  EXPECT_EQ(test::count_files(folder.path()), 0);
}

struct Malformed {
  const char* claim;
  std::string bytes;
  const char* message;
};

// Each class of malformed file, with the part of the message that tells it from the others.
TEST(TensorFile, EveryClassOfMalformedFileIsRefusedWithItsOwnMessage) {
  const std::string x = R"("x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  const auto entry = [](const std::string& body) { return "{\"x\":{" + body + "}}"; };
  const std::string huge = "9223372036854775807";
  const std::vector<Malformed> corpus = {
      {"empty file", "", "truncated: expected at least 8 bytes, the file has 0"},
      {"less than a length", "abc", "truncated: expected at least 8 bytes, the file has 3"},
      {"length beyond the limit", std::string(8, '\xFF') + "{}", "the limit is 100000000"},
      {"length beyond the file", file_bytes("{" + x + "}", 4).substr(0, 20),
       "truncated: expected at least 61 bytes (header)"},
      {"no header", file_bytes("", 0), "must be a JSON object"},
      {"not an object", file_bytes("[]", 0), "must be a JSON object"},
      {"space before the brace", file_bytes(" {}", 0), "must be a JSON object"},
      {"broken JSON", file_bytes("{" + x, 4), "not valid JSON"},
      {"text after the object", file_bytes("{" + x + "}x", 4), "not valid JSON"},
      {"zero bytes as padding", file_bytes("{" + x + "}" + std::string(3, '\0'), 4), "not valid JSON"},
      {"invalid UTF-8", file_bytes("{\"\xFF\":1}", 0), "not valid JSON"},
      {"deep nesting", file_bytes("{\"x\":" + std::string(200'000, '['), 0), "not valid JSON"},
      {"duplicate tensor", file_bytes("{" + x + "," + x + "}", 4), "duplicate key \"x\""},
      {"duplicate field", file_bytes(entry(R"("dtype":"U8","dtype":"I8","shape":[4],"data_offsets":[0,4])"), 4),
       "duplicate key \"dtype\""},
      {"duplicate metadata", file_bytes(R"({"__metadata__":{"a":"1","a":"2"}})", 0), "duplicate key \"a\""},
      {"metadata not an object", file_bytes(R"({"__metadata__":["a"]})", 0), "__metadata__ must be an object"},
      {"metadata not strings", file_bytes(R"({"__metadata__":{"a":1}})", 0), "must hold only strings"},
      {"tensor not an object", file_bytes(R"({"x":4})", 0), "must be described by an object"},
      {"half a byte", file_bytes(entry(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])"), 2),
       "do not fill whole bytes"},
      {"packed type of another size", file_bytes(entry(R"("dtype":"F6_E2M3","shape":[4],"data_offsets":[0,4])"), 4),
       "F6_E2M3 [4] takes 3 bytes, data_offsets span 4"},
      {"dtype not a string", file_bytes(entry(R"("dtype":8,"shape":[4],"data_offsets":[0,4])"), 4),
       "dtype must be a string"},
      {"lacking dtype", file_bytes(entry(R"("shape":[4],"data_offsets":[0,4])"), 4), "lacks dtype"},
      {"lacking shape", file_bytes(entry(R"("dtype":"U8","data_offsets":[0,4])"), 4), "lacks shape"},
      {"lacking offsets", file_bytes(entry(R"("dtype":"U8","shape":[4])"), 4), "lacks data_offsets"},
      {"unknown field", file_bytes(entry(R"("dtype":"U8","shape":[4],"data_offsets":[0,4],"scale":2)"), 4),
       "unknown field 'scale'"},
      {"shape not an array", file_bytes(entry(R"("dtype":"U8","shape":4,"data_offsets":[0,4])"), 4),
       "shape must be an array"},
      {"negative extent", file_bytes(entry(R"("dtype":"U8","shape":[-4],"data_offsets":[0,4])"), 4),
       "whole numbers from 0"},
      {"fractional extent", file_bytes(entry(R"("dtype":"U8","shape":[4.0],"data_offsets":[0,4])"), 4),
       "whole numbers from 0"},
      {"extent beyond int64",
       file_bytes(entry(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,4])"), 4),
       "whole numbers from 0"},
      {"size overflows",
       file_bytes(entry(R"("dtype":"F32","shape":[)" + huge + "," + huge + R"(],"data_offsets":[0,4])"), 4),
       "overflows"},
      {"size overflows to what fits",
       file_bytes(entry(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0), "overflows"},
      {"empty with strides that overflow",
       file_bytes(entry(R"("dtype":"U8","shape":[0,)" + huge + "," + huge + R"(],"data_offsets":[0,0])"), 0),
       "overflows"},
      {"one offset", file_bytes(entry(R"("dtype":"U8","shape":[4],"data_offsets":[4])"), 4),
       "must be two whole numbers"},
      {"negative offset", file_bytes(entry(R"("dtype":"U8","shape":[4],"data_offsets":[-4,0])"), 4),
       "must be two whole numbers"},
      {"offsets backwards", file_bytes(entry(R"("dtype":"U8","shape":[4],"data_offsets":[4,0])"), 4), "go backwards"},
      {"shape and offsets differ", file_bytes(entry(R"("dtype":"F32","shape":[4],"data_offsets":[0,4])"), 4),
       "F32 [4] takes 16 bytes, data_offsets span 4"},
      {"overlap", file_bytes("{" + x + R"(,"y":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})", 6),
       "overlaps the one before"},
      {"same bytes twice", file_bytes("{" + x + R"(,"y":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4),
       "overlaps the one before"},
      {"hole", file_bytes("{" + x + R"(,"y":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}})", 9),
       "bytes 4 to 5 belong to no tensor"},
      {"hole at the start", file_bytes(entry(R"("dtype":"U8","shape":[4],"data_offsets":[1,5])"), 5),
       "hole before tensor 'x'"},
      {"bytes left over", file_bytes("{" + x + "}", 5), "1 bytes after the last tensor"},
      {"data cut", file_bytes("{" + x + "}", 3), "truncated: expected 65 bytes, the file has 64"},
      {"far beyond the file",
       file_bytes(entry(R"("dtype":"U8","shape":[)" + huge + R"(],"data_offsets":[0,)" + huge + "]"), 4),
       "truncated: expected"},
  };
  for (const auto& bad : corpus) EXPECT_THAT(rejection(bad.bytes), HasSubstr(bad.message)) << bad.claim;
}

TEST(TensorFile, ABoolThatIsNeitherTrueNorFalseIsRefused) {
  const TemporaryFolder folder;
  auto bytes = file_bytes(R"({"x":{"dtype":"BOOL","shape":[4],"data_offsets":[0,4]}})", 4);
  bytes.back() = 2;
  test::write_text(folder / "a.safetensors", bytes);
  EXPECT_THAT(message_of<Error>([&] { tensors::read_tensors(folder / "a.safetensors"); }),
              HasSubstr("BOOL must hold 0 or 1, got 2"));
}

TEST(TensorFile, AFileCutAnywhereIsRefused) {
  const TemporaryFolder folder;
  tensors::write_tensors(folder / "a.safetensors", one_of_each());
  const std::string whole = test::read_text(folder / "a.safetensors");
  for (size_t percent = 0; percent < 100; ++percent) {
    EXPECT_THAT(rejection(whole.substr(0, whole.size() * percent / 100)), HasSubstr("truncated: expected")) << percent;
  }
  EXPECT_THAT(rejection(whole.substr(0, whole.size() - 1)),
              HasSubstr(cat("expected ", whole.size(), " bytes, the file has ", whole.size() - 1)));
}

// One byte of the header changed: the file is refused or read, never anything else.
TEST(TensorFile, AnyByteOfTheHeaderMayBeWrong) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  tensors::write_tensors(path, {{{"x", at::ones({2, 3})}, {"mask", at::ones({4}, at::kBool)}}, {{"a", "b"}}});
  const std::string whole = test::read_text(path);
  const size_t data_bytes = 2 * 3 * 4 + 4;
  int refused = 0, read = 0;
  for (size_t at = 0; at < whole.size() - data_bytes; ++at) {
    for (const char wrong : {'\0', '9', '"', '}', '\xFF', '-'}) {
      std::string bytes = whole;
      bytes[at] = wrong;
      test::write_text(path, bytes);
      try {
        for (const auto& [name, tensor] : tensors::read_tensors(path).tensors)
          tensor.to(at::kDouble).sum().item<double>();
        ++read;
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 5 * read) << "most of these changes make the header wrong";
}

TEST(TensorFile, PythonReadsWhatIsWrittenHere) {
  SDG_NEEDS_PYTHON("torch safetensors");
  const TemporaryFolder folder;
  const auto file = one_of_each();
  tensors::write_tensors(folder / "ours.safetensors", file);
  const auto result =
      test::run_python(R"(
import sys
from safetensors import safe_open
from safetensors.torch import save_file
with safe_open(sys.argv[1], "pt") as f:
    metadata, tensors = f.metadata(), {k: f.get_tensor(k) for k in f.keys()}
assert tensors["scalar"].shape == () and tensors["scalar"].item() == 2.5
assert tensors["Long"].tolist() == [0, 1, 1, 0, 1, 1, 0], tensors["Long"]
assert metadata["note"] == 'a "quoted" line\nand ümlaut', metadata
save_file(tensors, sys.argv[2], metadata)
)",
                       {(folder / "ours.safetensors").string(), (folder / "theirs.safetensors").string()});
  ASSERT_EQ(result.status, 0) << result.output;
  expect_same(tensors::read_tensors(folder / "theirs.safetensors"), file);
}

// What Python's own writer makes of every dtype it has: the same values here, or the tensor is named.
TEST(TensorFile, EveryDtypeOfTheFormatIsReadOrNamed) {
  SDG_NEEDS_PYTHON("torch numpy safetensors");
  const TemporaryFolder folder;
  const auto result = test::run_python(R"(
import json, struct, sys, torch
from safetensors import safe_open, serialize_file
folder = sys.argv[1]
sizes = {'BOOL': 8, 'U8': 8, 'I8': 8, 'F8_E5M2': 8, 'F8_E4M3': 8, 'F8_E8M0': 8, 'F8_E4M3FNUZ': 8, 'F8_E5M2FNUZ': 8, 'I16': 16, 'U16': 16, 'F16': 16,
         'BF16': 16, 'I32': 32, 'U32': 32, 'F32': 32, 'C64': 64, 'F64': 64, 'I64': 64, 'U64': 64, 'F4': 4, 'F6_E2M3': 6, 'F6_E3M2': 6}
header, data = {}, b''
for i, (name, bits) in enumerate(sizes.items()):
    part = bytes((j * 37 + i) % 2 if name == 'BOOL' else (j * 37 + i) % 120 for j in range(8 * bits // 8))
    header['t.' + name] = {'dtype': name, 'shape': [2, 4], 'data_offsets': [len(data), len(data) + len(part)]}
    data += part
text = json.dumps(header).encode()
open(folder + '/a.safetensors', 'wb').write(struct.pack('<Q', len(text)) + text + data)
with safe_open(folder + '/a.safetensors', 'pt') as f:  # Python's reader takes the file
    assert set(f.keys()) == set(header), f.keys()
    torch.save({k: f.get_tensor(k).view(torch.uint8) if sizes[k[2:]] == 8 and k[2:] != 'BOOL' else f.get_tensor(k)
                for k in f.keys() if sizes[k[2:]] >= 8}, folder + '/values.pt')
header['future'] = {'dtype': 'F3_NEW', 'shape': [5], 'data_offsets': [len(data), len(data) + 3]}
text = json.dumps(header).encode()
open(folder + '/b.safetensors', 'wb').write(struct.pack('<Q', len(text)) + text + data + b'abc')
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto values = tensors::read_weights(folder / "values.pt").tensors;
  ASSERT_EQ(values.size(), 19U);
  for (const std::string name : {"a", "b"}) {
    const auto read = tensors::read_tensors(folder / (name + ".safetensors"));
    EXPECT_EQ(read.tensors.size(), values.size());
    for (const auto& [key, value] : values) {
      const auto& tensor = read.at(key);
      EXPECT_EQ(tensor.sizes(), (Shape{2, 4})) << key;
      EXPECT_EQ(std::memcmp(tensor.const_data_ptr(), value.const_data_ptr(), tensor.nbytes()), 0) << key;
      EXPECT_EQ(tensor.nbytes(), value.nbytes()) << key;
    }
    EXPECT_EQ(read.unread.size(), name == "a" ? 3U : 4U);
    EXPECT_THAT(message_of<Error>([&] { read.at("t.F4", "a"); }),
                HasSubstr("a: tensor 't.F4' cannot be read: it is of the type F4, which LibTorch cannot compute with"));
    const auto header = tensors::read_tensor_header(folder / (name + ".safetensors"));
    EXPECT_EQ(header.unread, read.unread);
    EXPECT_EQ(tensors::read_weights(folder / (name + ".safetensors")).unread, read.unread);
  }
}

TEST(TensorFile, AHeaderOfEveryLengthIsTakenForWhatItIs) {
  const TemporaryFolder folder;
  for (size_t length = 60; length < 60 + 256; ++length) {  // 123 is '{'
    std::string header = R"({"x":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
    header.resize(length, ' ');
    test::write_text(folder / "a.safetensors", file_bytes(header, 4));
    const auto read = tensors::read_weights(folder / "a.safetensors");
    EXPECT_EQ(read.format, "safetensors") << length;
    EXPECT_EQ(read.tensors.size(), 1U) << length;
  }
}

TEST(TensorFile, NamesAndMetadataOfEveryLanguageAndNoMetadataAtAll) {
  const TemporaryFolder folder;
  const std::string entry = R"({"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  test::write_text(folder / "a",
                   file_bytes(R"({"__metadata__":null,"größe":)" + entry + R"(,"\ud83d\ude00":)" + entry + "}", 0));
  const auto read = tensors::read_tensors(folder / "a");
  EXPECT_TRUE(read.tensors.contains("größe"));
  EXPECT_TRUE(read.tensors.contains("😀"));
}
