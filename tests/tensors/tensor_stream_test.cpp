#include "sdg/tensors/tensor_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/verify.h"
#include "support/temporary_folder.h"

using namespace sdg;
using tensors::TensorStream;
using test::message_of;
using ::testing::HasSubstr;

namespace {

const std::map<std::string, TensorStream::Slot> kSlots{{"a", {at::kFloat, {5, 2}}}, {"b", {at::kByte, {5, 3}}}};

Tensor values(int64_t rows) {
  return at::arange(rows * 2, at::kFloat).view({rows, 2});
}

}  // namespace

TEST(TensorStream, RowsInAnyOrderMakeTheFileThatIsWrittenAtOnce) {
  const test::TemporaryFolder folder;
  const auto bytes = at::arange(15, at::kByte).view({5, 3});
  {
    TensorStream stream(folder / "s.safetensors", kSlots, {{"k", "v"}});
    stream.write("b", 0, bytes);
    stream.write("a", 3, values(5).narrow(0, 3, 2));
    stream.write("a", 0, values(5).narrow(0, 0, 3));
    EXPECT_FALSE(std::filesystem::exists(folder / "s.safetensors"));
    stream.finish();
  }
  tensors::write_tensors(folder / "t.safetensors", {{{"a", values(5)}, {"b", bytes}}, {{"k", "v"}}});
  EXPECT_EQ(test::read_text(folder / "s.safetensors"), test::read_text(folder / "t.safetensors"));
  EXPECT_EQ(test::count_files(folder.path()), 2);
}

TEST(TensorStream, GoesOnWhereItWasLeft) {
  const test::TemporaryFolder folder;
  const auto path = folder / "s.safetensors";
  {
    TensorStream stream(path, kSlots, {});
    EXPECT_EQ(stream.rows_done(), 0);
    stream.write("a", 0, values(2));
    stream.commit(2);
    stream.write("a", 2, values(1));  // not committed: to be written again
  }
  {
    TensorStream stream(path, kSlots, {});
    EXPECT_EQ(stream.rows_done(), 2);
    stream.write("a", 2, values(5).narrow(0, 2, 3));
    stream.finish();
  }
  EXPECT_TRUE(at::equal(tensors::read_tensors(path).at("a"), values(5)));
}

TEST(TensorStream, RefusesWhatAnotherRunBegan) {
  const test::TemporaryFolder folder;
  const auto path = folder / "s.safetensors";
  {
    TensorStream stream(path, kSlots, {{"size", "256"}});
    stream.commit(1);
  }
  EXPECT_THAT(message_of<Error>([&] { TensorStream(path, kSlots, {{"size", "128"}}); }),
              HasSubstr("s.safetensors.partial is of other content"));
  {
    const TensorStream still_there(path, kSlots, {{"size", "256"}});
  }
  test::write_text(TensorStream::partial_path(path), "cut");
  EXPECT_THAT(message_of<Error>([&] { TensorStream(path, kSlots, {}); }), HasSubstr("other content"));
}

TEST(TensorStream, LeavesNothingBeforeARowIsDone) {
  const test::TemporaryFolder folder;
  {
    TensorStream stream(folder / "s.safetensors", kSlots, {{"size", "256"}});
    stream.write("a", 0, values(2));
  }
  EXPECT_EQ(test::count_files(folder.path()), 0);
  const TensorStream other(folder / "s.safetensors", kSlots, {{"size", "128"}});
  EXPECT_EQ(other.rows_done(), 0);
}

TEST(TensorStream, TwoWritersDoNotMix) {
  const test::TemporaryFolder folder;
  const TensorStream first(folder / "s.safetensors", kSlots, {});
  EXPECT_THAT(message_of<Error>([&] { TensorStream(folder / "s.safetensors", kSlots, {}); }),
              HasSubstr("another process is writing it"));
}

TEST(TensorStream, RefusesRowsThatDoNotFit) {
  const test::TemporaryFolder folder;
  TensorStream stream(folder / "s.safetensors", kSlots, {});
  EXPECT_THAT(message_of<Error>([&] { stream.write("a", 4, values(2)); }), HasSubstr("rows 4 to 6 of 'a'"));
  EXPECT_THAT(message_of<Error>([&] { stream.write("a", 0, values(2).to(at::kDouble)); }), HasSubstr("Double"));
  EXPECT_THAT(message_of<Error>([&] { stream.write("c", 0, values(2)); }), HasSubstr("no tensor 'c'"));
}

TEST(TensorStream, FormatsWithAChecksumGetItWhateverTheOrderAndTheInterruptions) {
  const test::TemporaryFolder folder;
  const std::map<std::string, std::string> metadata{{"format", "sdg-thing-2"}};
  const auto bytes = at::arange(15, at::kByte).view({5, 3});
  {
    TensorStream stream(folder / "s", kSlots, metadata);
    stream.write("b", 0, bytes);
    stream.write("a", 3, values(5).narrow(0, 3, 2));
    stream.commit(3);
  }
  {
    TensorStream stream(folder / "s", kSlots, metadata);
    EXPECT_EQ(stream.rows_done(), 3);
    stream.write("a", 0, values(5).narrow(0, 0, 3));
    stream.finish();
  }
  tensors::write_tensors(folder / "t", {{{"a", values(5)}, {"b", bytes}}, metadata});
  EXPECT_EQ(test::read_text(folder / "s"), test::read_text(folder / "t"));
  EXPECT_TRUE(tensors::verify_tensors(folder / "s"));
  auto damaged = test::read_text(folder / "s");
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  test::write_text(folder / "d", damaged);
  EXPECT_THAT(message_of<Error>([&] { tensors::read_tensors(folder / "d"); }), HasSubstr("damaged: the checksum"));
  EXPECT_TRUE(at::equal(tensors::read_tensors(folder / "d", 10).at("a"), values(5))) << "too large to be looked at";
}
