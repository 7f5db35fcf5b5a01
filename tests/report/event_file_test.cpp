#include "sdg/report/event_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "sdg/core/error.h"
#include "support/python.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::TemporaryFolder;
using ::testing::HasSubstr;

namespace {

Tensor picture() {
  return at::arange(3 * 5 * 7, at::kByte).view({3, 5, 7});
}

// One bit at a time, as the polynomial is defined: slow, and sharing nothing with the table of the writer.
uint32_t masked_crc32c(const std::string& data) {
  uint32_t crc = ~0U;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82F63B78U : 0);
  }
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;
}

template <class T>
T number_at(const std::string& bytes, size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

}  // namespace

TEST(EventFile, FramesCarryTheirLengthAndBothChecksums) {
  // RFC 3720, B.4: the CRC-32C of 32 zero bytes is 0x8A9136AA.
  ASSERT_EQ(masked_crc32c(std::string(32, '\0')), ((0x8A9136AAU >> 15) | (0x8A9136AAU << 17)) + 0xA282EAD8U);
  const TemporaryFolder folder;
  std::filesystem::path path;
  {
    report::EventWriter writer(folder / "run");
    path = writer.path();
    for (int64_t step = 0; step < 20; ++step) writer.scalar("loss", 1.0 / (1.0 + static_cast<double>(step)), step);
    writer.image("samples", picture(), 20);
  }
  EXPECT_THAT(path.filename().string(), ::testing::StartsWith("events.out.tfevents."));
  const std::string bytes = test::read_text(path);
  int records = 0;
  for (size_t at = 0; at < bytes.size(); ++records) {
    ASSERT_GE(bytes.size() - at, 16U);
    const auto length = number_at<uint64_t>(bytes, at);
    EXPECT_EQ(number_at<uint32_t>(bytes, at + 8), masked_crc32c(bytes.substr(at, 8)));
    ASSERT_LE(length + 16, bytes.size() - at);
    EXPECT_EQ(number_at<uint32_t>(bytes, at + 12 + length), masked_crc32c(bytes.substr(at + 12, length)));
    at += 16 + length;
  }
  EXPECT_EQ(records, 22) << "the version, 20 scalars, an image";
}

TEST(EventFile, FlushPutsEveryRecordOnDisk) {
  const TemporaryFolder folder;
  report::EventWriter writer(folder.path());
  const auto before = std::filesystem::file_size(writer.path());
  writer.scalar("loss", 1, 1);
  writer.flush();
  EXPECT_GT(std::filesystem::file_size(writer.path()), before);
}

TEST(EventFile, WritersOfOneProcessDoNotShareAFile) {
  const TemporaryFolder folder;
  const report::EventWriter first(folder.path()), second(folder.path());
  EXPECT_NE(first.path(), second.path());
}

TEST(EventFile, ANewFileComesLastByNameAlsoWhenTheClockWasPutBack) {
  const TemporaryFolder folder;
  test::write_text(folder / "events.out.tfevents.4102444800.host.9999.0", "");  // of the year 2100
  std::string last = "events.out.tfevents.4102444800.host.9999.0";
  for (int i = 0; i < 3; ++i) {
    const auto name = report::EventWriter(folder.path()).path().filename().string();
    EXPECT_GT(name, last);
    last = name;
  }
}

TEST(EventFile, AFolderThatCannotBeMadeIsNamed) {
  const TemporaryFolder folder;
  test::write_text(folder / "file", "x");
  EXPECT_THAT(test::message_of<Error>([&] { report::EventWriter(folder / "file" / "run"); }),
              HasSubstr("file/run: cannot make the folder"));
}

TEST(EventFile, TensorBoardReadsScalarsImagesAndResumes) {
  SDG_NEEDS_PYTHON("tensorboard");
  const TemporaryFolder folder;
  const std::vector<double> values = {0.1, 1e-30, -2.5e6, 3};
  {
    report::EventWriter writer(folder.path());
    for (size_t i = 0; i < values.size(); ++i)
      writer.scalar("train/loss", values[i], static_cast<int64_t>(i) * 1'000'000'000);
    writer.scalar("bad", NAN, 1);
    writer.image("samples", picture(), 7);
    for (int64_t step = 0; step < 8; ++step) writer.scalar("resumed", static_cast<double>(step), step);
  }
  const auto read = [&](const std::string& tag) {
    const auto result = test::run_python(R"(
import json, math, sys, io
from tensorboard.backend.event_processing import event_accumulator as ea
a = ea.EventAccumulator(sys.argv[1], size_guidance={ea.SCALARS: 0, ea.IMAGES: 0})
a.Reload()
out = {"tags": a.Tags()["scalars"], "scalars": [[e.step, e.value] for e in a.Scalars(sys.argv[2]) if not math.isnan(e.value)]}
out["images"] = len(a.Images("samples"))
for i in a.Images("samples"):
    out["image"] = [i.step, i.height, i.width, i.encoded_image_string[1:4].decode()]
    out["wall"] = abs(i.wall_time - __import__("time").time()) < 60
print("JSON" + json.dumps(out))
)",
                                         {folder.path().string(), tag});
    const auto start = result.output.find("JSON");
    if (result.status != 0 || start == std::string::npos) throw Error(result.output);
    return nlohmann::json::parse(result.output.substr(start + 4));
  };
  const auto all = read("train/loss");
  EXPECT_EQ(all.at("tags").size(), 3U);
  ASSERT_EQ(all.at("scalars").size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(all["scalars"][i][0].get<int64_t>(), static_cast<int64_t>(i) * 1'000'000'000);
    EXPECT_EQ(all["scalars"][i][1].get<float>(), static_cast<float>(values[i]));
  }
  EXPECT_EQ(all.at("image"), nlohmann::json({7, 5, 7, "PNG"}));
  EXPECT_EQ(all.at("wall"), true);

  {
    report::EventWriter writer(folder.path(), 4);
    writer.scalar("resumed", 50, 5);
  }
  const auto resumed = read("resumed");
  EXPECT_EQ(resumed.at("scalars"), nlohmann::json::parse("[[0,0],[1,1],[2,2],[3,3],[4,4],[5,50]]"));
  EXPECT_EQ(resumed.at("images"), 0) << "the image of step 7 was beyond what is kept";
}
