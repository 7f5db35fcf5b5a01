// Real processes. This program starts itself anew for each rank: the disabled tests at the end are what a rank does.
#include "sdg/ranks/ranks.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <torch/types.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "ranks/variables.h"
#include "sdg/core/error.h"
#include "support/port.h"
#include "support/temporary_folder.h"

using namespace sdg;
using Clock = std::chrono::steady_clock;

namespace {

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Processes that each run one disabled test of this program.
class Processes {
 public:
  Processes(int64_t ranks, const std::string& test, const std::string& patience = "60000") {
    const auto port = std::to_string(test::free_port());
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const test::Variables variables({{"RANK", std::to_string(rank)},
                                       {"WORLD_SIZE", std::to_string(ranks)},
                                       {"MASTER_ADDR", "127.0.0.1"},
                                       {"MASTER_PORT", port},
                                       {"SDG_TEST_PATIENCE", patience}});
      const auto output = folder_ / std::to_string(rank);
      std::vector<std::string> words{"/proc/self/exe", "--gtest_also_run_disabled_tests",
                                     "--gtest_filter=RankProcess.DISABLED_" + test};
      std::vector<char*> arguments;
      for (auto& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      posix_spawn_file_actions_t actions;
      posix_spawn_file_actions_init(&actions);
      posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644);
      posix_spawn_file_actions_adddup2(&actions, 1, 2);
      pid_t process = 0;
      if (::posix_spawn(&process, "/proc/self/exe", &actions, nullptr, arguments.data(), environ) == 0)
        processes_.push_back(process);
      posix_spawn_file_actions_destroy(&actions);
    }
    EXPECT_EQ(static_cast<int64_t>(processes_.size()), ranks) << "could not be started";
  }
  ~Processes() {
    for (const auto process : processes_) {
      if (process > 0) ::kill(process, SIGKILL), ::waitpid(process, nullptr, 0);
    }
  }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  void signal(size_t rank, int number) { ::kill(processes_.at(rank), number); }

  /// What the rank said, once it has `text` in it.
  std::string wait_for(size_t rank, const std::string& text) const {
    const auto begin = Clock::now();
    while (said(rank).find(text) == std::string::npos && seconds_since(begin) < 60)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return said(rank);
  }
  std::string said(size_t rank) const { return test::read_text(folder_ / std::to_string(rank)); }

  /// Exit code, or minus the signal that ended it.
  int end_of(size_t rank) {
    int status = 0;
    ::waitpid(std::exchange(processes_.at(rank), 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  test::TemporaryFolder folder_;
  std::vector<pid_t> processes_;
};

std::shared_ptr<Reducer> connected() {
  return ranks::connect(ranks::place_from_environment().value(),
                        std::chrono::milliseconds(std::stoll(std::getenv("SDG_TEST_PATIENCE"))));
}

void say(const std::string& line) {
  std::cout << line << std::endl;
}

[[noreturn]] void end_with(const Error& error) {
  say(cat("error: ", error.what()));
  std::_Exit(dynamic_cast<const ranks::FirstRankLost*>(&error) ? 4 : 3);
}

}  // namespace

#define SDG_NEEDS_GLOO()                                                 \
  if (!ranks::can_connect()) {                                           \
    std::cout << "SKIPPED: this build has no Gloo headers" << std::endl; \
    GTEST_SKIP() << "this build has no Gloo headers";                    \
  }                                                                      \
  static_assert(true)

TEST(Connect, OneRankNeedsNoConnection) {
  EXPECT_EQ(ranks::connect({}).get(), &Reducer::local());
}

TEST(Connect, ProcessesExchangeTensorsOfEveryKind) {
  SDG_NEEDS_GLOO();
  for (const int64_t count : {2, 3}) {
    Processes processes(count, "Exchanges");
    for (size_t rank = 0; rank < static_cast<size_t>(count); ++rank)
      EXPECT_EQ(processes.end_of(rank), 0) << processes.said(rank);
  }
}

TEST(Connect, ARankThatIsKilledIsAnErrorOfTheOthersAtOnce) {
  SDG_NEEDS_GLOO();
  Processes processes(3, "SumsForever");
  for (size_t rank = 0; rank < 3; ++rank)
    ASSERT_THAT(processes.wait_for(rank, "summing"), testing::HasSubstr("summing"));
  processes.signal(1, SIGKILL);
  const auto begin = Clock::now();
  for (const size_t rank : {0, 2}) {
    EXPECT_EQ(processes.end_of(rank), 3) << processes.said(rank);
    EXPECT_THAT(
        processes.said(rank),
        testing::HasSubstr(cat("error: rank ", rank, " of 3, at the sums, in a sum of Double [4]: rank 1 gives no ",
                               "sign of life any more; it was last at the sums")));
  }
  EXPECT_LT(seconds_since(begin), 20) << "the patience is 60 s";
  EXPECT_EQ(processes.end_of(1), -SIGKILL);
}

TEST(Connect, ARankThatIsStoppedIsAnErrorWhenPatienceEnds) {
  SDG_NEEDS_GLOO();
  Processes processes(2, "SumsForever", "3000");
  for (size_t rank = 0; rank < 2; ++rank)
    ASSERT_THAT(processes.wait_for(rank, "summing"), testing::HasSubstr("summing"));
  processes.signal(1, SIGSTOP);
  const auto begin = Clock::now();
  EXPECT_EQ(processes.end_of(0), 3) << processes.said(0);
  EXPECT_THAT(processes.said(0), testing::HasSubstr("in a sum of Double [4]: rank 1 gives no sign of life any more"));
  EXPECT_LT(seconds_since(begin), 15);
}

// Its process holds the store that all ask, and stopped it does not even refuse.
TEST(Connect, TheFirstRankStoppedIsAnErrorOfTheOthersToo) {
  SDG_NEEDS_GLOO();
  Processes processes(2, "SumsForever", "3000");
  for (size_t rank = 0; rank < 2; ++rank)
    ASSERT_THAT(processes.wait_for(rank, "summing"), testing::HasSubstr("summing"));
  processes.signal(0, SIGSTOP);
  const auto begin = Clock::now();
  EXPECT_EQ(processes.end_of(1), 4) << processes.said(1);
  EXPECT_THAT(processes.said(1), testing::HasSubstr("rank 0 has ended or does not answer"));
  EXPECT_LT(seconds_since(begin), 15);
}

TEST(Connect, WhatTheFirstRankDoesAloneMayTakeLongerThanPatience) {
  SDG_NEEDS_GLOO();
  Processes processes(3, "WaitsForTheFirst", "2000");
  for (size_t rank = 0; rank < 3; ++rank) EXPECT_EQ(processes.end_of(rank), 0) << processes.said(rank);
  Processes stopped(2, "WaitsForTheFirst", "3000");
  ASSERT_THAT(stopped.wait_for(0, "working"), testing::HasSubstr("working"));
  stopped.signal(0, SIGSTOP);
  EXPECT_EQ(stopped.end_of(1), 4) << stopped.said(1);
  EXPECT_THAT(stopped.said(1), testing::HasSubstr("rank 1 of 2, at the wait: rank 0 has ended or gives no sign"));
}

TEST(Connect, ARankThatFailsTellsTheOthersWhy) {
  SDG_NEEDS_GLOO();
  Processes processes(3, "OneFails");
  for (const size_t rank : {0, 2}) {
    EXPECT_EQ(processes.end_of(rank), 3) << processes.said(rank);
    EXPECT_THAT(processes.said(rank), testing::HasSubstr("rank 1 failed: out of memory"));
  }
}

TEST(Connect, APortInUseIsNamed) {
  SDG_NEEDS_GLOO();
  const test::TakenPort port;
  const ranks::Place place{.rank = 0, .ranks = 2, .host = "127.0.0.1", .port = port.number()};
  EXPECT_THAT(test::message_of<UsageError>([&] { ranks::connect(place, std::chrono::seconds(2)); }),
              testing::HasSubstr(cat("port ", port.number(), " is in use")));
}

TEST(Connect, ARankThatNeverComesIsAnErrorWhenPatienceEnds) {
  SDG_NEEDS_GLOO();
  const ranks::Place place{.rank = 0, .ranks = 2, .host = "127.0.0.1", .port = test::free_port()};
  const auto begin = Clock::now();
  EXPECT_THAT(test::message_of<Error>([&] { ranks::connect(place, std::chrono::seconds(2)); }),
              testing::AllOf(testing::HasSubstr("rank 0 of 2, at the start, in meeting the others at 127.0.0.1 port"),
                             testing::HasSubstr("rank 1 has not come")));
  EXPECT_LT(seconds_since(begin), 15);
}

TEST(RankProcess, DISABLED_Exchanges) {
  const auto reducer = connected();
  const auto rank = reducer->rank(), ranks = reducer->ranks();
  const auto sum_of_ranks = ranks * (ranks - 1) / 2;
  const auto of_all = static_cast<double>(sum_of_ranks);
  for (const auto type : {at::kDouble, at::kFloat, at::kLong}) {
    auto values = at::full({3, 2}, rank, type);
    reducer->all_reduce(values);
    EXPECT_TRUE(at::equal(values, at::full({3, 2}, of_all, type))) << values;
    auto column = at::full({3, 2}, rank, type);
    reducer->all_reduce(column.select(1, 1), Reducer::Op::kMax);
    EXPECT_TRUE(at::equal(column.select(1, 0), at::full({3}, rank, type))) << column;
    EXPECT_TRUE(at::equal(column.select(1, 1), at::full({3}, ranks - 1, type))) << column;
    auto one = at::full({}, rank, type);
    reducer->broadcast(one, 1);
    EXPECT_EQ(one.item<double>(), 1);
    const auto rows = reducer->all_gather(at::full({2 * rank, 2}, rank + 1, type));  // rank 0 has none
    EXPECT_EQ(rows.size(0), 2 * of_all);
    EXPECT_TRUE(at::equal(rows.slice(0, 0, 2), at::full({2, 2}, 2, type))) << rows;
    EXPECT_TRUE(at::equal(rows.slice(0, rows.size(0) - 2), at::full({2, 2}, ranks, type))) << rows;
    EXPECT_EQ(reducer->all_gather(at::zeros({0, 2}, type)).size(0), 0);
  }
  // Rank r sends r + s numbers to rank s, so rank 0 none to itself: 100 r + s.
  std::vector<Tensor> sent, expected;
  std::vector<int64_t> sizes;
  for (int64_t other = 0; other < ranks; ++other) {
    sizes.push_back(rank + other);
    sent.push_back(at::full({rank + other}, static_cast<float>(100 * rank + other)));
    expected.push_back(at::full({rank + other}, static_cast<float>(100 * other + rank)));
  }
  EXPECT_TRUE(at::equal(reducer->all_to_all(at::cat(sent), sizes, sizes), at::cat(expected)));
  // Only the first sends, and only to the last.
  std::vector<int64_t> to(static_cast<size_t>(ranks), 0), from = to;
  if (rank == 0) to.back() = 5;
  if (rank == ranks - 1) from.front() = 5;
  const auto five = reducer->all_to_all(at::full({rank == 0 ? 5 : 0}, 7.0), to, from);
  EXPECT_TRUE(at::equal(five, at::full({rank == ranks - 1 ? 5 : 0}, 7.0))) << five;
  EXPECT_TRUE(
      at::equal(reducer->all_gather_alike(at::full({2}, rank, at::kLong)).select(1, 1), at::arange(ranks, at::kLong)));
  std::vector<int64_t> counts;
  for (int64_t other = 0; other < ranks; ++other) counts.push_back(other);
  EXPECT_EQ(reducer->all_gather(at::ones({rank, 2}), counts).size(0), ranks * (ranks - 1) / 2);
  const auto texts = all_gather_texts(std::string(static_cast<size_t>(rank), 'x'), *reducer);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(texts[i], std::string(i, 'x'));
  const auto x = at::full({2}, 1.0 + static_cast<double>(rank), at::kDouble).requires_grad_();
  (sum_over_ranks(x.square(), *reducer).sum() * static_cast<double>(rank + 1)).backward();
  const auto factors = ranks * (ranks + 1) / 2;
  EXPECT_TRUE(at::equal(x.grad(), 2 * x.detach() * static_cast<double>(factors))) << x.grad();
  reducer->sum(int64_t{0});  // nobody leaves while others still read
}

TEST(RankProcess, DISABLED_SumsForever) {
  try {
    const auto reducer = connected();
    reducer->at("the sums");
    for (int i = 0; i < 100; ++i) reducer->sum(1.0), std::this_thread::sleep_for(std::chrono::milliseconds(10));
    say("summing");
    while (true) reducer->all_reduce(at::ones({4}, at::kDouble));
  } catch (const Error& error) {
    end_with(error);
  }
}

TEST(RankProcess, DISABLED_WaitsForTheFirst) {
  try {
    const auto reducer = connected();
    reducer->at("the wait");
    reducer->first_alone([] {
      say("working");
      std::this_thread::sleep_for(std::chrono::seconds(6));
    });
  } catch (const Error& error) {
    end_with(error);
  }
}

TEST(RankProcess, DISABLED_OneFails) {
  try {
    const auto reducer = connected();
    if (reducer->rank() == 1) {
      ranks::tell_failure(*reducer, "out of memory");
      std::_Exit(5);
    }
    reducer->sum(1.0);
  } catch (const Error& error) {
    end_with(error);
  }
}
