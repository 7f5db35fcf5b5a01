// Torch files that are broken, lie about themselves or ask for more than plain data needs.
#include <sys/resource.h>
#include <torch/types.h>

#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/torch_file.h"
#include "support/python.h"
#include "tensors/torch_rejection.h"

using namespace sdg;
using test::kGoodStorage;
using test::kGoodTensor;
using test::rejection;
using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;
namespace pickle = test::pickle;

namespace {

long peak_kilobytes() {
  struct rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

}  // namespace

TEST(TorchFile, OpcodesThatPlainDataDoesNotNeedAreRefused) {
  for (const std::string opcode : {"\x82", "\x83", "\x84", "\x97", "\x98"})
    EXPECT_THAT(rejection(test::torch_zip(opcode)), HasSubstr("is not one that plain data needs")) << opcode;
  EXPECT_THAT(rejection(test::torch_zip("P")), HasSubstr("tensors in pickle protocol 0 are not read"));
}

TEST(TorchFile, BrokenPicklesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"0", "its stack is empty"},
      {"t", "a mark is missing"},
      {"h\x05", "recalls what it never stored"},
      {"NN", "values are left over"},
      {"(N", "values are left over"},
      {"X\xff\xff\xff\xff", "truncated"},
      {"\x8d" + test::little<uint64_t>(~0ULL), "truncated"},
      {"N" + pickle::text("k") + "Ns", "something else than a dictionary"},
      {"NNa", "something else than a list"},
      {"}(Nu", "something else than a dictionary"},
      {"c" + std::string(2000, 'a') + "\nb\n", "more than 1000 characters"},
      {"c" + std::string(2000, 'a'), "truncated"},
      {"NN\x93", "no text"},
      {"NNR", "arguments are no tuple"},
      {"N)R", "calls something that is no function"},
      {"Ix\n" + std::string("p1x\n"), "a number is none"},
      {"Sabc\n", "a text is none"},
      {"V\\u12\n", "a text is none"},
      {"Fa\n", "a number is none"},
      {"(o", "an object without a class"},
      {pickle::global("copyreg", "_reconstructor") + "(" + pickle::global("copyreg", "_reconstructor") + "tR",
       "without a class"},
      {"NQ", "something else than storages"},
      {"(" + pickle::text("module") + "NNNNtQ", "something else than storages"},
      {"", "its stack is empty"},
  };
  for (const auto& [body, what] : cases) EXPECT_THAT(rejection(test::torch_zip(body)), HasSubstr(what)) << body;
  EXPECT_THAT(rejection(test::torch_zip("N")), HasSubstr("holds no tensors"));
  EXPECT_THAT(rejection(test::torch_zip("\x80\x09N")), HasSubstr("protocol is above 5"));
}

TEST(TorchFile, TensorsThatTheirStorageCannotHoldAreRefused) {
  const auto with = [](const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                       const std::vector<int64_t>& strides) {
    return rejection(test::torch_zip(pickle::dict({{"w", pickle::tensor(storage, offset, shape, strides)}})));
  };
  const auto max = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(with(kGoodStorage, 0, {2, 4}, {4, 1}), HasSubstr("reaches element 7 of a storage of 6"));
  EXPECT_THAT(with(kGoodStorage, 1, {2, 3}, {3, 1}), HasSubstr("reaches element 6"));
  EXPECT_THAT(with(kGoodStorage, -1, {2, 3}, {3, 1}), HasSubstr("something else than a storage"));
  EXPECT_THAT(with(kGoodStorage, 0, {2, 3}, {-3, 1}), HasSubstr("stride holds"));
  EXPECT_THAT(with(kGoodStorage, 0, {2, -3}, {3, 1}), HasSubstr("size holds"));
  EXPECT_THAT(with(kGoodStorage, 0, {2, 3}, {3}), HasSubstr("2 extents and 1 strides"));
  EXPECT_THAT(with(kGoodStorage, 0, {max, max}, {0, 0}), HasSubstr("overflows"));
  EXPECT_THAT(with(kGoodStorage, 0, {max, 0}, {max, max}), HasSubstr("overflows"));
  EXPECT_THAT(with(kGoodStorage, max, {2}, {max}), HasSubstr("overflows"));
  EXPECT_THAT(with(kGoodStorage, 0, {int64_t{1} << 40}, {0}), HasSubstr("repeats the 6 elements"));
  EXPECT_THAT(with(kGoodStorage, 0, std::vector<int64_t>(33, 1), std::vector<int64_t>(33, 1)), HasSubstr("at most 32"));
  // Types that lie about the storage's size.
  EXPECT_THAT(with(pickle::storage("DoubleStorage", "0", 6), 0, {6}, {1}),
              HasSubstr("storage 0 should have 48 bytes (6 of Double), it has 24"));
  EXPECT_THAT(with(pickle::storage("HalfStorage", "0", 6), 0, {6}, {1}), HasSubstr("should have 12 bytes"));
  EXPECT_THAT(with(pickle::storage("FloatStorage", "0", max), 0, {6}, {1}), HasSubstr("claims"));
  EXPECT_THAT(with(pickle::storage("FloatStorage", "0", -1), 0, {6}, {1}), HasSubstr("claims"));
  EXPECT_THAT(with(pickle::storage("FloatStorage", "7", 6), 0, {6}, {1}), HasSubstr("lacks storage 7"));
  EXPECT_THAT(with(pickle::storage("QInt8Storage", "0", 24), 0, {6}, {1}), HasSubstr("is quantised"));
  const auto lie = pickle::dict({{"w", pickle::tensor(pickle::storage("BoolStorage", "0", 24), 0, {24}, {1})}});
  EXPECT_THAT(rejection(test::torch_zip(lie, std::string(24, '\7'))), HasSubstr("bools must be 0 or 1, got 7"));
}

TEST(TorchFile, ZipsThatLieAreRefused) {
  const std::string good = pickle::whole(pickle::dict({{"w", kGoodTensor}}));
  const auto with = [&](const test::ZipMember& storage) {
    return rejection(test::zip_bytes({{"a/data.pkl", good}, storage, {"a/version", "3\n"}}));
  };
  const std::string data(24, '\0');
  EXPECT_THAT(with({.name = "a/data/0", .data = data, .method = 8}), HasSubstr("is compressed"));
  EXPECT_THAT(with({.name = "a/data/0", .data = data, .flags = 1}), HasSubstr("is encrypted"));
  EXPECT_THAT(with({.name = "a/data/0", .data = data, .size_lie = 1000000}), HasSubstr("reaches beyond"));
  EXPECT_THAT(with({.name = "a/data/0", .data = data, .size_lie = 20}), HasSubstr("overlap"));
  EXPECT_THAT(with({.name = "a/data/0", .data = data, .offset_lie = 1 << 30}), HasSubstr("does not begin at byte"));
  EXPECT_THAT(with({.name = "a/data/0", .data = data, .offset_lie = -3}), HasSubstr("does not begin at byte"));
  EXPECT_THAT(with({.name = "a/data.pkl", .data = good}), HasSubstr("comes twice"));
  EXPECT_THAT(with({.name = "b/data.pkl", .data = good}), HasSubstr("holds two data.pkl"));
  EXPECT_THAT(with({.name = "a/byteorder", .data = "big"}), HasSubstr("is not little-endian"));
  EXPECT_THAT(with({.name = "a/constants.pkl", .data = ""}), HasSubstr("TorchScript"));
  EXPECT_THAT(with({.name = "a/byteorder", .data = "little", .method = 8}), HasSubstr("is compressed"));
  EXPECT_THAT(rejection(test::zip_bytes({{"a/data.pkl", good}, {"a/data/0", data}, {"a/version", "11\n"}})),
              HasSubstr("torch's file version 11; known"));
  EXPECT_THAT(rejection(test::zip_bytes({{.name = "cat.png", .data = "y", .method = 8}, {"b.txt", "z"}})),
              HasSubstr("a zip without data.pkl is no torch file; it holds b.txt, cat.png"));
  // A directory of a thousand names for one member.
  auto many = test::torch_zip(pickle::dict({{"w", kGoodTensor}}));
  many[many.size() - 12] = many[many.size() - 14] = '\xff';
  EXPECT_THAT(rejection(many), HasSubstr("cannot be listed"));
}

TEST(TorchFile, MemoryStaysBoundedWhateverThePickleSays) {
  const long before = peak_kilobytes();
  // A memo index of four billion, a list that doubles 60 times, a text copied a hundred thousand times as a key.
  EXPECT_THAT(rejection(test::torch_zip("Nr" + test::little<uint32_t>(0xfffffff0))), HasSubstr("holds no tensors"));
  std::string doubled = "](" + kGoodTensor + "e";
  for (int i = 0; i < 60; ++i)
    doubled +=
        "q\x01"
        "0](h\x01h\x01"
        "e";
  EXPECT_THAT(rejection(test::torch_zip(doubled)), HasSubstr("nested more than 32 deep"));
  std::string wide = "](" + kGoodTensor + "e";  // 2^25 places for one tensor, shallow enough to be walked
  for (int i = 0; i < 25; ++i)
    wide +=
        "q\x01"
        "0](h\x01h\x01"
        "e";
  EXPECT_THAT(rejection(test::torch_zip(wide)), HasSubstr("holds more than"));
  const auto long_key = pickle::text(std::string(1 << 20, 'k'));
  EXPECT_THAT(rejection(test::torch_zip("}" + long_key + pickle::dict({{"a", kGoodTensor}}) + "s")),
              HasSubstr("a name has more than"));
  std::string copied = pickle::text(std::string(1 << 20, 'k')) +
                       "q\x01"
                       "0}(";
  for (int i = 0; i < 100000; ++i) copied += "h\x01N";
  EXPECT_THAT(rejection(test::torch_zip(copied + "u")), HasSubstr("copies more than"));
  std::string encoded = pickle::text(std::string(1 << 20, 'k')) +
                        "q\x01"
                        "0";
  for (int i = 0; i < 1000; ++i) encoded += pickle::global("_codecs", "encode") + "(h\x01tR0";
  EXPECT_THAT(rejection(test::torch_zip(encoded + "N")), HasSubstr("copies more than"));
  EXPECT_THAT(rejection(test::torch_zip("]q\x01h\x01"
                                        "a")),
              HasSubstr("holds no tensors"));  // holds itself
  EXPECT_THAT(rejection(test::torch_zip("]" + std::string(5'000'000, 'N'))), HasSubstr("more than 2000000 values"));
#ifdef SDG_SANITIZED
  constexpr int64_t kMost = 2'000'000;  // which keeps a while what was freed, and a margin about each block
#else
  constexpr int64_t kMost = 900'000;
#endif
  EXPECT_LT(peak_kilobytes() - before, kMost);
}

TEST(TorchFile, LegacyFilesThatLieAreRefused) {
  const auto storage = pickle::storage("FloatStorage", "0", 6, true);
  const auto value = pickle::dict({{"w", pickle::tensor(storage, 0, {2, 3}, {3, 1})}});
  EXPECT_THAT(rejection(test::torch_legacy(value, {})), HasSubstr("lacks storage 0"));
  EXPECT_THAT(rejection(test::torch_legacy(value, {{"0", {1, 2}}})), HasSubstr("truncated: storage 0"));
  const auto huge = pickle::storage("FloatStorage", "0", int64_t{1} << 62, true);  // its bytes would be 0 in 64 bits
  const auto claim = pickle::dict({{"w", pickle::tensor(huge, 0, {0}, {1})}});
  EXPECT_THAT(rejection(test::torch_legacy(claim, {{"0", {}}})), HasSubstr("storage 0 claims 4611686018427387904"));
  EXPECT_THAT(rejection(test::torch_legacy(value, {{"0", {1, 2, 3, 4, 5, 6, 7}}})), HasSubstr("has 7 elements"));
  EXPECT_THAT(rejection(test::torch_legacy(value, {{"0", {1, 2, 3, 4, 5, 6}}, {"1", {1}}})),
              HasSubstr("no tensor uses"));
  EXPECT_THAT(rejection("\x80\x02}."), HasSubstr("holds no tensors"));
}

TEST(TorchFile, ACutFileIsRefusedAtEveryPercent) {
  const TemporaryFolder folder;
  const auto tensors = std::map<std::string, Tensor>{{"a", at::ones({40})}, {"b", at::ones({7}, at::kHalf)}};
  tensors::write_torch(folder / "a.pt", tensors);
  tensors::write_tensors(folder / "a.safetensors", {tensors, {{"k", "v"}}});
  const auto legacy = test::torch_legacy(
      pickle::dict({{"w", pickle::tensor(pickle::storage("FloatStorage", "0", 6, true), 0, {2, 3}, {3, 1})}}),
      {{"0", {1, 2, 3, 4, 5, 6}}});
  for (const auto& whole : {test::read_text(folder / "a.pt"), test::read_text(folder / "a.safetensors"), legacy}) {
    test::write_text(folder / "whole", whole);
    ASSERT_NO_THROW(tensors::read_weights(folder / "whole"));
    for (size_t percent = 0; percent < 100; ++percent)
      EXPECT_THAT(rejection(whole.substr(0, whole.size() * percent / 100)), Not(HasSubstr("no error"))) << percent;
    rejection(whole.substr(0, whole.size() - 1));
  }
}
