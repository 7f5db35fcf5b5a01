#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/verify.h"
#include "support/python.h"
#include "support/temporary_folder.h"

#include <ATen/ATen.h>

using namespace sdg;
using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;

namespace {

tensors::TensorFile sealed_file() {
  tensors::TensorFile file;
  file.tensors["a.weight"] = at::arange(6, at::kFloat).view({2, 3});
  file.tensors["empty"] = at::empty({0, 4});
  file.tensors["ids"] = at::arange(5, at::kLong);
  file.tensors["mask"] = at::ones({3}, at::kByte);
  file.metadata = {{"format", "sdg-thing-2"}, {"step", "6"}, {"text", "\"sdg_checksum\":\"no\nquotes\u00e9"}};
  return file;
}

}  // namespace

TEST(Seal, EveryFlippedBitOfTheFileIsNoticed) {
  const TemporaryFolder folder;
  tensors::write_tensors(folder / "a", sealed_file());
  EXPECT_TRUE(tensors::verify_tensors(folder / "a"));
  const auto bytes = test::read_text(folder / "a");
  size_t passed = 0;
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    test::write_text(folder / "b", damaged);
    const bool read = message_of<Error>([&] { tensors::read_tensors(folder / "b"); }) == "no error";
    const bool verified = message_of<Error>([&] {
                            if (!tensors::verify_tensors(folder / "b")) throw Error("without checksum");
                          }) == "no error";
    passed += static_cast<size_t>(read || verified);
    if (read || verified) ADD_FAILURE() << "bit " << bit % 8 << " of byte " << bit / 8 << " passes";
  }
  EXPECT_EQ(passed, 0U) << "of " << 8 * bytes.size();
}

TEST(Seal, EveryLostEndIsNoticed) {
  const TemporaryFolder folder;
  tensors::write_tensors(folder / "a", sealed_file());
  const auto bytes = test::read_text(folder / "a");
  for (size_t size = 0; size < bytes.size(); ++size) {
    test::write_text(folder / "b", bytes.substr(0, size));
    EXPECT_NE(message_of<Error>([&] { tensors::read_tensors(folder / "b"); }), "no error") << size;
  }
}

TEST(Seal, TheMessageSaysWhatIsWrong) {
  const TemporaryFolder folder;
  tensors::write_tensors(folder / "a", sealed_file());
  auto bytes = test::read_text(folder / "a");
  bytes.back() ^= 1;
  test::write_text(folder / "b", bytes);
  EXPECT_THAT(message_of<Error>([&] { tensors::read_tensors(folder / "b"); }),
              ::testing::StartsWith((folder / "b").string() + ": damaged: the checksum of its bytes is "));
}

TEST(Seal, TensorsOfSeveralPiecesComeBack) {
  const TemporaryFolder folder;
  auto file = sealed_file();
  file.tensors["large"] = at::arange(700'000, at::kFloat);  // 2.7 pieces
  file.tensors["strided"] = at::arange(900'000, at::kInt).view({900, 1000}).t();
  tensors::write_tensors(folder / "a", file);
  const auto read = tensors::read_tensors(folder / "a");
  for (const auto& [name, tensor] : file.tensors) EXPECT_TRUE(at::equal(read.at(name), tensor)) << name;
  EXPECT_EQ(read.metadata.at("text"), file.metadata.at("text"));
  tensors::write_tensors(folder / "again", read);
  EXPECT_EQ(test::read_text(folder / "again"), test::read_text(folder / "a"));
}

TEST(Seal, FilesOfOthersAndOfEarlierVersionsHaveNoneAndAreRead) {
  const TemporaryFolder folder;
  for (const auto* format : {"pt", "sdg-thing-1", "sdg-checkpoint-1"}) {
    auto file = sealed_file();
    file.metadata["format"] = format;
    tensors::write_tensors(folder / "a", file);
    EXPECT_EQ(test::read_text(folder / "a").find("sdg_checksum\":\""), std::string::npos) << format;
    EXPECT_FALSE(tensors::verify_tensors(folder / "a")) << format;
    EXPECT_TRUE(at::equal(tensors::read_tensors(folder / "a").at("ids"), file.at("ids"))) << format;
  }
}

TEST(Seal, IsReadByPythonsSafetensorsAndRefusedWhenWrittenAnewThere) {
  SDG_NEEDS_PYTHON("safetensors torch");
  const TemporaryFolder folder;
  tensors::write_tensors(folder / "a", sealed_file());
  const auto result = test::run_python(
      "import sys\n"
      "from safetensors import safe_open\n"
      "from safetensors.torch import load_file, save_file\n"
      "with safe_open(sys.argv[1], 'pt') as f: meta = f.metadata()\n"
      "assert len(meta['sdg_checksum']) == 32, meta\n"
      "tensors = load_file(sys.argv[1])\n"
      "tensors['ids'] += 1\n"
      "save_file(tensors, sys.argv[2], metadata=meta)\n"
      "meta['format'] = 'sdg-thing-1'\n"
      "del meta['sdg_checksum']\n"
      "save_file(tensors, sys.argv[3], metadata=meta)\n",
      {(folder / "a").string(), (folder / "b").string(), (folder / "c").string()});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(message_of<Error>([&] { tensors::read_tensors(folder / "b"); }), HasSubstr("damaged"));
  EXPECT_EQ(tensors::read_tensors(folder / "c").at("ids")[0].item<int64_t>(), 1);
}
