#include "sdg/io/tar_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <iostream>
#include <thread>

#include "sdg/core/error.h"
#include "sdg/io/random_access_file.h"
#include "support/python.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;

namespace {

std::string padded(std::string data) {
  data.resize((data.size() + 511) / 512 * 512);
  return data;
}

std::string tar_header(const std::string& name, uint64_t size, char type) {
  std::string block(512, '\0');
  const auto put = [&](size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  char octal[16];
  std::snprintf(octal, sizeof(octal), "%011lo", static_cast<unsigned long>(size));
  put(0, name.substr(0, 100));
  put(124, octal);
  put(148, "        ");
  block[156] = type;
  put(257, std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  std::snprintf(octal, sizeof(octal), "%06o", sum);
  put(148, std::string(octal) + '\0' + ' ');
  return block;
}

std::string tar_entry(const std::string& name, const std::string& data, char type = '0') {
  return tar_header(name, data.size(), type) + padded(data);
}

const std::string kEnd(1024, '\0');

std::vector<io::TarEntry> index_of(const std::string& bytes) {
  const TemporaryFolder folder;
  test::write_text(folder / "a.tar", bytes);
  return io::index_tar(folder / "a.tar").files;
}
std::string rejection(const std::string& bytes) {
  return message_of<Error>([&] { index_of(bytes); });
}

}  // namespace

TEST(TarIndex, NamesAndRangesOfRegularFilesOnly) {
  const std::string bytes = tar_entry("photos/", "", '5') + tar_entry("photos/a.jpg", "first") +
                            tar_entry("link", "", '2') + tar_entry("empty", "") + tar_entry("old/", "", '\0') +
                            tar_entry("b", std::string(513, 'x')) + kEnd;
  const auto entries = index_of(bytes);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].name, "photos/a.jpg");
  EXPECT_EQ(bytes.substr(entries[0].offset, entries[0].size), "first");
  EXPECT_EQ(entries[1].name, "empty");
  EXPECT_EQ(entries[1].size, 0U);
  EXPECT_EQ(bytes.substr(entries[2].offset, entries[2].size), std::string(513, 'x'));
}

TEST(TarIndex, LongNamesOfGnuAndPax) {
  const std::string name = std::string(150, 'd') + "/" + std::string(150, 'f');
  const std::string record = "320 path=" + name + "\n";
  ASSERT_EQ(record.size(), 311U);
  const std::string pax = "312 path=" + name + "2\n" + "9 size=3\n";
  const auto entries = index_of(tar_entry("././@LongLink", name + '\0', 'L') + tar_entry("cut", "one") +
                                tar_entry("PaxHeaders/x", pax, 'x') + tar_header("cut", 0, '0') + padded("two") +
                                tar_entry("short", "three") + kEnd);
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].name, name);
  EXPECT_EQ(entries[1].name, name + "2");
  EXPECT_EQ(entries[1].size, 3U) << "the pax size replaces the header's";
  EXPECT_EQ(entries[2].name, "short") << "an extended header holds for one entry";
}

TEST(TarIndex, DamageIsToldApart) {
  const std::string good = tar_entry("a", "data");
  EXPECT_THAT(rejection(""), HasSubstr("not a tar file: the file is empty"));
  EXPECT_THAT(rejection("just a text, though a rather long one\n" + std::string(1000, ' ')),
              HasSubstr("header at byte 0: not an uncompressed tar file"));
  std::string wrong = good + good + kEnd;
  wrong[1024 + 3] = 'x';
  EXPECT_THAT(rejection(wrong), HasSubstr("header at byte 1024: damaged tar file (wrong checksum)"));
  EXPECT_THAT(rejection(tar_header("huge", 07777777777, '0') + kEnd),
              HasSubstr("truncated tar file: expected at least"));
  EXPECT_THAT(rejection(tar_entry("a", "999999 path=x\n", 'x') + good + kEnd), HasSubstr("damaged pax header"));
  EXPECT_THAT(rejection(tar_entry("a", "5 x\n", 'x') + good + kEnd), HasSubstr("damaged pax header"));
}

TEST(TarIndex, AFileCutAnywhereIsRefused) {
  std::string bytes;
  for (int i = 0; i < 10; ++i) bytes += tar_entry("file" + std::to_string(i), std::string(100 * i, 'x'));
  for (size_t percent = 1; percent < 100; ++percent) {
    EXPECT_THAT(rejection(bytes.substr(0, bytes.size() * percent / 100)), HasSubstr("truncated tar file")) << percent;
  }
  EXPECT_THAT(rejection(bytes), HasSubstr("no end block"));
  EXPECT_EQ(index_of(bytes + kEnd).size(), 10U);
}

TEST(TarIndex, AgreesWithPythonOnEveryFormat) {
  SDG_NEEDS_PYTHON("tarfile");
  const TemporaryFolder folder;
  const auto result = test::run_python(R"(
import io, sys, tarfile
for name, format in [("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)]:
    with tarfile.open(f"{sys.argv[1]}/{name}.tar", "w", format=format) as t:
        for i in range(40):
            long = "/".join(["folder%d" % i] * (i // 4)) + "/" if i >= 4 else ""
            info = tarfile.TarInfo(long + ("bild%d.png" if format == tarfile.USTAR_FORMAT else "ümlaut%d.png") % i)
            data = bytes([i]) * (i * 37)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
        folder = tarfile.TarInfo("just_a_folder"); folder.type = tarfile.DIRTYPE; t.addfile(folder)
        link = tarfile.TarInfo("link"); link.type = tarfile.SYMTYPE; link.linkname = "x" * 300 if format != tarfile.USTAR_FORMAT else "x"
        t.addfile(link)
    with tarfile.open(f"{sys.argv[1]}/{name}.tar") as t, open(f"{sys.argv[1]}/{name}.txt", "w") as out:
        for m in t:
            if m.isreg(): out.write(f"{m.offset_data} {m.size} {m.name}\n")
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  for (const std::string format : {"ustar", "gnu", "pax"}) {
    std::string lines;
    for (const auto& entry : io::index_tar(folder / (format + ".tar")).files) {
      lines += cat(entry.offset, " ", entry.size, " ", entry.name, "\n");
    }
    EXPECT_EQ(lines, test::read_text(folder / (format + ".txt"))) << format;
  }
}

TEST(TarIndex, IndexesTheRealArchives) {
  const std::filesystem::path data = std::filesystem::path(SDG_SOURCE_DIR) / ".." / "shared" / "data";
  int seen = 0;
  for (const auto& [name, count] :
       {std::pair{"cifar10-test.tar", 10000U}, {"cifar10-train.tar", 50000U}, {"imagenet-photos.tar", 300U}}) {
    if (!std::filesystem::exists(data / name)) continue;
    ++seen;
    const auto entries = io::index_tar(data / name).files;
    EXPECT_EQ(std::count_if(entries.begin(), entries.end(),
                            [](const auto& e) { return e.name.ends_with(".jpg") || e.name.ends_with(".JPEG"); }),
              count)
        << name;
    const io::RandomAccessFile file(data / name);
    for (size_t i = 0; i < entries.size(); i += 97) {
      if (!entries[i].name.ends_with('g') && !entries[i].name.ends_with('G')) continue;
      const auto start = file.read(entries[i].offset, 2);
      EXPECT_TRUE(start[0] == std::byte{0xFF} && start[1] == std::byte{0xD8}) << entries[i].name;
    }
  }
  if (seen == 0) {
    std::cout << "SKIPPED: no archives in " << data << std::endl;
    GTEST_SKIP() << "no archives in " << data;
  }
}

TEST(RandomAccessFile, ThreadsReadDifferentPartsAtOnce) {
  const TemporaryFolder folder;
  std::string bytes(1 << 20, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761U >> 13);
  test::write_text(folder / "a.bin", bytes);
  const io::RandomAccessFile file(folder / "a.bin");
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 500; ++i) {
        const size_t at = (t * 7919 + i * 104729) % (bytes.size() - 1000);
        const auto part = file.read(at, 1000);
        if (bytes.compare(at, 1000, reinterpret_cast<const char*>(part.data()), 1000) != 0) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(RandomAccessFile, ReadingPastTheEndIsAnErrorBeforeAnythingIsAllocated) {
  const TemporaryFolder folder;
  test::write_text(folder / "a.bin", "abc");
  const io::RandomAccessFile file(folder / "a.bin");
  EXPECT_TRUE(file.read(3, 0).empty());
  EXPECT_THAT(message_of<Error>([&] { file.read(1, 3); }),
              HasSubstr("a.bin: truncated: expected 3 bytes from byte 1, the file has 3"));
  EXPECT_THAT(message_of<Error>([&] { file.read(2, ~uint64_t{0}); }), HasSubstr("truncated"));
  EXPECT_THAT(message_of<Error>([&] { io::RandomAccessFile(folder / "none"); }),
              HasSubstr("No such file or directory"));
}
