#include "sdg/core/background.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

using namespace sdg;

TEST(BackgroundWork, DoesEveryPieceOnce) {
  std::atomic<int> done = 0;
  BackgroundWork work(3, 2);
  for (int i = 0; i < 50; ++i) work.add([&] { ++done; });
  work.finish();
  EXPECT_EQ(done, 50);
}

TEST(BackgroundWork, BlocksWhereTooManyWait) {
  std::atomic<bool> open = false;
  std::atomic<int> added = 0;
  BackgroundWork work(1, 2);
  std::thread caller([&] {
    for (int i = 0; i < 6; ++i) {
      work.add([&] {
        while (!open) std::this_thread::yield();
      });
      ++added;
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LE(added, 3);  // one under way, two waiting
  open = true;
  caller.join();
  work.finish();
  EXPECT_EQ(added, 6);
}

TEST(BackgroundWork, GivesTheFirstErrorToTheCaller) {
  BackgroundWork work(2, 4);
  work.add([] { throw std::runtime_error("disk full"); });
  try {
    work.finish();
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "disk full");
  }
}
