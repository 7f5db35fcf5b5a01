// What is given as weights or arrays and is something else: one line that says what it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdlib>

#include "sdg/core/error.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/torch_file.h"
#include "sdg/tensors/weights.h"
#include "support/python.h"
#include "support/temporary_folder.h"
#include "tensors/torch_bytes.h"

using namespace sdg;
using test::message_of;
using test::TemporaryFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace {

// What every reader says of the file.
std::vector<std::string> messages(const std::filesystem::path& path) {
  return {message_of<Error>([&] { tensors::read_weights(path); }),
          message_of<Error>([&] { tensors::read_tensors(path); }), message_of<Error>([&] { tensors::read_npz(path); }),
          message_of<Error>([&] { tensors::read_npy(path); }), message_of<Error>([&] { tensors::TorchFile{path}; })};
}

void expect_told(const std::filesystem::path& path, const std::string& what) {
  for (const auto& message : messages(path)) {
    EXPECT_THAT(message, AllOf(StartsWith(path.string() + ": "), HasSubstr(what)));
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

}  // namespace

TEST(ForeignFile, EveryReaderSaysWhatTheFileIs) {
  const TemporaryFolder folder;
  const auto path = folder / "model.safetensors";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 335544320\n",
       "this is a Git LFS pointer: the file itself of 335544320 bytes was not fetched"},
      {"<!DOCTYPE html>\n<html><head><title>Google Drive - Virus scan warning</title>", "this is a web page (HTML)"},
      {"\n  <html lang=\"en\">", "this is a web page (HTML)"},
      {"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "this is an XML document"},
      {"Access to model is restricted\nPlease log in.",
       "this is text that begins \"Access to model is restricted?Please log\""},
      {"\x89PNG\r\n\x1a\n and more", "this is a PNG picture"},
      {"\xff\xd8\xff\xe0 and more bytes", "this is a JPEG picture"},
      {"GGUF\3 and more bytes", "this is a GGUF file"},
      {"\x89HDF\r\n\x1a\n and more", "this is an HDF5 file"},
  };
  for (const auto& [bytes, what] : cases) {
    test::write_text(path, bytes);
    expect_told(path, what);
  }
}

// Weights may stand in a bare pickle, and nothing else is looked for in one.
TEST(ForeignFile, APickleIsReadForWeightsAlone) {
  const TemporaryFolder folder;
  const auto path = folder / "model.safetensors";
  test::write_text(path, std::string("\x80\x04\x95\x0b\0\0\0\0\0\0\0}.", 13));  // {}
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(path); }), HasSubstr("holds no tensors"));
  EXPECT_NO_THROW(tensors::TorchFile{path});
  const auto told = HasSubstr("this is a Python pickle that torch.save did not write");
  EXPECT_THAT(message_of<Error>([&] { tensors::read_tensors(path); }), told);
  EXPECT_THAT(message_of<Error>([&] { tensors::read_npz(path); }), told);
  EXPECT_THAT(message_of<Error>([&] { tensors::read_npy(path); }), told);
}

TEST(ForeignFile, AnEmptyFileIsSaidToBeEmpty) {
  const TemporaryFolder folder;
  test::write_text(folder / "a", "");
  for (const auto& message : messages(folder / "a"))
    EXPECT_THAT(message, ::testing::AnyOf(HasSubstr("the file is empty"), HasSubstr("the file has 0")));
}

TEST(ForeignFile, AFolderIsSaidToBeOne) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of<Error>([&] { tensors::read_tensors(folder.path()); }),
              HasSubstr("not a regular file but a folder"));
  EXPECT_THAT(message_of<Error>([&] { tensors::read_npz(folder.path()); }), HasSubstr("but a folder"));
  EXPECT_THAT(message_of<Error>([&] { tensors::read_npy(folder.path()); }), HasSubstr("but a folder"));
}

TEST(ForeignFile, PackedFilesAreToBeUnpacked) {
  const TemporaryFolder folder;
  test::write_text(folder / "model.pt", std::string(3000, 'x'));
  const auto in = "cd '" + folder.path().string() + "' && ";
  ASSERT_EQ(std::system((in + "tar cf a.tar model.pt && tar czf a.tar.gz model.pt && gzip -k model.pt").c_str()), 0);
  expect_told(folder / "a.tar", "this is a tar archive: unpack it first");
  expect_told(folder / "a.tar.gz", "this is gzip-compressed: unpack it first");
  expect_told(folder / "model.pt.gz", "this is gzip-compressed: unpack it first");
}

TEST(ForeignFile, OneFormatGivenForAnotherIsToldByName) {
  const TemporaryFolder folder;
  tensors::write_tensors(folder / "a", {{{"w", at::ones({2})}}, {}});
  EXPECT_THAT(message_of<Error>([&] { tensors::read_npz(folder / "a"); }), HasSubstr("this is a safetensors file"));
  EXPECT_THAT(message_of<Error>([&] { tensors::TorchFile{folder / "a"}; }), HasSubstr("this is a safetensors file"));
  tensors::write_torch(folder / "b", {{"w", at::ones({2})}});
  EXPECT_THAT(message_of<Error>([&] { tensors::read_tensors(folder / "b"); }), HasSubstr("this is a zip"));
  EXPECT_TRUE(tensors::read_npz(folder / "b").empty());
  test::write_text(folder / "c", test::zip_bytes({{"photo.png", "y"}, {"x.txt", "z"}}));
  EXPECT_THAT(message_of<Error>([&] { tensors::read_weights(folder / "c"); }), HasSubstr("it holds photo.png, x.txt"));
}
