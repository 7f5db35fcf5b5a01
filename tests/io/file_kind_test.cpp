#include "sdg/io/file_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "sdg/core/error.h"
#include "sdg/io/tar_index.h"
#include "support/temporary_folder.h"

using namespace sdg;
using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace {
std::string kind_of(const std::string& bytes) {
  return io::other_kind(std::as_bytes(std::span(bytes)));
}
}  // namespace

TEST(FileKind, WhatIsOftenFoundInsteadIsNamed) {
  EXPECT_EQ(kind_of(""), "the file is empty");
  EXPECT_THAT(kind_of("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"),
              HasSubstr("Git LFS pointer"));
  EXPECT_THAT(kind_of("\xEF\xBB\xBF\n <!DOCTYPE HTML><html>"), HasSubstr("a web page"));
  EXPECT_THAT(kind_of("<html lang=en>"), HasSubstr("a web page"));
  EXPECT_EQ(kind_of("\x1F\x8B\x08 and so on"), "gzip-compressed");
  EXPECT_EQ(kind_of("PK\x03\x04 and so on"), "a zip archive");
  EXPECT_EQ(kind_of("\x89PNG\r\n"), "");
  EXPECT_EQ(kind_of("<svg>"), "");
}

// Whatever a compressed tar is called, the advice is a command that makes a tar of it.
TEST(FileKind, TheAdviceForACompressedTarWorks) {
  for (const std::string name : {"a b.tar.gz", "x.tgz", "none"}) {
    const test::TemporaryFolder folder;
    const auto in_folder = "cd '" + folder.path().string() + "' && ";
    ASSERT_EQ(std::system((in_folder + "echo hello > 1.png && tar czf packed 1.png").c_str()), 0);
    std::filesystem::rename(folder / "packed", folder / name);
    const auto message = test::message_of<Error>([&] { io::index_tar(folder / name); });
    EXPECT_THAT(message, StartsWith((folder / name).string() + ": not a tar file: gzip-compressed; unpack it first: "));
    const auto command = message.substr(message.rfind(": ") + 2);
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    const auto out = command.substr(command.rfind("> ") + 3);
    EXPECT_EQ(io::index_tar(out.substr(0, out.size() - 1)).files.at(0).name, "1.png") << command;
  }
}

TEST(FileKind, ATarWhoseFirstNameLooksLikeSomethingElseIsATar) {
  const test::TemporaryFolder folder;
  ASSERT_EQ(std::system(("cd '" + folder.path().string() + "' && echo x > BZh.png && tar cf a.tar BZh.png").c_str()),
            0);
  EXPECT_EQ(io::index_tar(folder / "a.tar").files.size(), 1U);
}
