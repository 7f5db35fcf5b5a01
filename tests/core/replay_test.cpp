#include "sdg/core/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "support/tape.h"

using namespace sdg;
using ::testing::ElementsAre;
using ::testing::StartsWith;

namespace {

using Tensors = std::vector<Tensor>;

double number(const Tensor& x) {
  return x.item<double>();
}

std::vector<std::string> warnings_of(const std::function<void()>& work) {
  std::vector<std::string> out;
  log::set_sink([&](log::Level level, std::string_view text) {
    if (level == log::Level::kWarning) out.emplace_back(text);
  });
  work();
  log::set_sink({});
  return out;
}

}  // namespace

TEST(Replay, GivesWhatTheFunctionGivesForInputsThatChange) {
  int calls = 0;
  Replay replay(
      "it",
      [&](const Tensors& in) -> Tensors {
        ++calls;
        return {in[0] * in[1] + 1, in[0].sum()};
      },
      test::tapes());
  for (int step = 1; step <= 6; ++step) {
    const auto x = at::arange(3, at::kDouble) * step, y = at::full({3}, 0.5 + step, at::kDouble);
    const auto found = replay({x, y});
    EXPECT_TRUE(at::equal(found[0], x * y + 1)) << step;
    EXPECT_EQ(number(found[1]), 3 * step);
  }
  EXPECT_EQ(calls, 3);  // as it stands, to make ready, while recording
}

TEST(Replay, LeavesEarlierResultsAlone) {
  Replay replay("it", [](const Tensors& in) -> Tensors { return {in[0] * 2}; }, test::tapes());
  Tensors all;
  for (int i = 0; i < 4; ++i) all.push_back(replay({at::full({}, i, at::kDouble)})[0]);
  std::vector<double> found;
  for (const auto& each : all) found.push_back(number(each));
  EXPECT_THAT(found, ElementsAre(0, 2, 4, 6));
}

// The tape does what a graph does: a number of the host is recorded as it is.
TEST(Replay, HoldsNumbersOfTheHostAsTheyWereWhenRecorded) {
  double outside = 1;
  Replay replay("it", [&](const Tensors& in) -> Tensors { return {in[0] + outside}; }, test::tapes());
  const auto zero = at::zeros({}, at::kDouble);
  EXPECT_EQ(number(replay({zero})[0]), 1);
  outside = 2;
  EXPECT_EQ(number(replay({zero})[0]), 2);
  outside = 3;
  EXPECT_EQ(number(replay({zero})[0]), 2);
}

TEST(Replay, BeginsAnewWithOtherShapes) {
  int recordings = 0;
  Replay replay(
      "it", [](const Tensors& in) -> Tensors { return {in[0].cumsum(0)}; },
      [&] {
        ++recordings;
        return test::tapes()();
      });
  for (const int64_t size : {4, 4, 4, 7, 7, 7, 4, 4}) {
    const auto x = at::arange(size, at::kFloat);
    EXPECT_TRUE(at::equal(replay({x})[0], x.cumsum(0))) << size;
  }
  EXPECT_EQ(recordings, 3);
}

TEST(Replay, SaysOnceWhatCannotBeRecordedAndCallsItEachTime) {
  const auto said = warnings_of([] {
    Replay replay("the sum", [](const Tensors& in) -> Tensors { return {in[0] * number(in[0].sum())}; }, test::tapes());
    for (int i = 1; i <= 5; ++i) {
      const auto x = at::full({2}, i, at::kDouble);
      EXPECT_TRUE(at::equal(replay({x})[0], x * (2 * i)));
    }
  });
  ASSERT_EQ(said.size(), 1U);
  EXPECT_THAT(
      said[0],
      StartsWith("the sum cannot be recorded, and is called each time: aten::_local_scalar_dense: operation not "
                 "permitted while recording"));
}

TEST(Replay, OfNoDeviceCallsTheFunction) {
  EXPECT_FALSE(recordings_on(at::kCPU));
  Replay replay("it", [](const Tensors& in) -> Tensors { return in; }, recordings_on(at::kCPU));
  const auto x = at::ones({2});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(replay({x})[0].is_same(x));
}
