#include "sdg/core/parallel.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

TEST(WorkerPool, CallsEachIndexOnce) {
  sdg::WorkerPool pool(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::atomic<int>> calls(17);
    pool.run(17, [&](int64_t i) { ++calls[i]; });
    for (auto& count : calls) EXPECT_EQ(count, 1);
  }
}

TEST(WorkerPool, RethrowsWhatAWorkerThrew) {
  sdg::WorkerPool pool(2);
  EXPECT_THROW(pool.run(4,
                        [](int64_t i) {
                          if (i == 2) throw std::runtime_error("third");
                        }),
               std::runtime_error);
  int after = 0;
  pool.run(1, [&](int64_t) { ++after; });
  EXPECT_EQ(after, 1);
}

TEST(WorkerPool, WorkWithinWorkRunsWhereItIs) {
  sdg::WorkerPool pool(2);
  std::atomic<int> calls{0};
  pool.run(5, [&](int64_t) { pool.run(3, [&](int64_t) { ++calls; }); });
  EXPECT_EQ(calls, 15);
}

TEST(WorkerPool, KeepsTheCallersGradMode) {
  sdg::WorkerPool pool(2);
  std::atomic<int> with_grad{0};
  {
    torch::NoGradGuard guard;
    pool.run(8, [&](int64_t) { with_grad += torch::GradMode::is_enabled(); });
  }
  EXPECT_EQ(with_grad, 0);
  pool.run(8, [&](int64_t) { with_grad += torch::GradMode::is_enabled(); });
  EXPECT_EQ(with_grad, 8);
}

TEST(WorkerPool, CallersOnSeveralThreadsGetTheirOwnWorkDone) {
  sdg::WorkerPool pool(2);
  std::vector<std::atomic<int>> calls(4);
  std::vector<std::thread> callers;
  for (auto& own : calls) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) pool.run(5, [&](int64_t) { ++own; });
    });
  }
  for (auto& caller : callers) caller.join();
  for (auto& own : calls) EXPECT_EQ(own, 1000);
}
