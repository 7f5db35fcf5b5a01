#include "sdg/core/kept_blocks.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "sdg/core/tensor.h"

using namespace sdg;

namespace {

constexpr size_t kMebi = size_t{1} << 20;

uintptr_t address(const c10::DataPtr& data) {
  return reinterpret_cast<uintptr_t>(data.get());
}

}  // namespace

TEST(KeptBlocks, GiveALargeBlockOutAgain) {
  auto& blocks = kept_blocks();
  auto first = blocks.allocate(5 * kMebi);
  const auto where = address(first);
  EXPECT_EQ(where % 4096, 0U);
  const auto before = block_bytes();
  first.clear();
  EXPECT_EQ(block_bytes().kept, before.kept + 5 * kMebi);
  EXPECT_EQ(block_bytes().in_use, before.in_use - 5 * kMebi);
  const auto smaller = blocks.allocate(4 * kMebi);
  EXPECT_EQ(address(smaller), where) << "at most a quarter more than was asked for";
  EXPECT_NE(address(blocks.allocate(3 * kMebi)), where);
}

TEST(KeptBlocks, LeaveSmallOnesAndNoneToLibTorch) {
  auto& blocks = kept_blocks();
  const auto before = block_bytes();
  {
    const auto small = blocks.allocate(1000), last = blocks.allocate(kMebi - 1);
    EXPECT_EQ(address(small) % 64, 0U);
    EXPECT_EQ(block_bytes().in_use, before.in_use);
    EXPECT_EQ(blocks.allocate(0).get(), nullptr);
  }
  EXPECT_EQ(block_bytes().kept, before.kept);
}

TEST(KeptBlocks, StayWithinAQuarterOfTheMostThatWasInUse) {
  std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed): the same each time
  std::vector<c10::DataPtr> held;
  size_t most = block_bytes().in_use + block_bytes().kept, kept = 0;  // other tests have had theirs
  for (int i = 0; i < 4000; ++i) {
    // Other sizes as time goes on, so that old blocks fit nobody any more.
    const size_t size = kMebi + random() % (kMebi << (i / 1000));
    if (held.size() < 12) {
      held.push_back(kept_blocks().allocate(size));
    } else {
      held[random() % held.size()].clear();
      std::erase_if(held, [](const auto& each) { return !each; });
    }
    const auto bytes = block_bytes();
    most = std::max(most, bytes.in_use);
    kept = std::max(kept, bytes.kept);
    ASSERT_LE(bytes.in_use + bytes.kept, most + most / 4) << i;
  }
  EXPECT_GT(kept, 0U);
}

TEST(KeptBlocks, OfManyThreadsAreTheirOwn) {
  std::vector<std::thread> threads;
  for (unsigned char id = 1; id <= 4; ++id) {
    threads.emplace_back([id] {
      std::mt19937 random(id);
      for (int i = 0; i < 300; ++i) {
        const size_t size = random() % 3 == 0 ? random() % 5000 + 1 : kMebi + random() % kMebi;
        const auto block = kept_blocks().allocate(size);
        auto* bytes = static_cast<unsigned char*>(block.get());
        for (size_t at = 0; at < size; at += 511) bytes[at] = id;
        std::this_thread::yield();
        for (size_t at = 0; at < size; at += 511) ASSERT_EQ(bytes[at], id);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(KeptBlocks, SayWhatTheSystemCannotGive) {
  try {
    kept_blocks().allocate(size_t{1} << 60);
    FAIL();
  } catch (const c10::Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("can't allocate memory: you tried to allocate 1152921504606846976"));
  }
}

TEST(KeptBlocks, HoldTensorsOnceTheyAreAsked) {
  auto* before = c10::GetCPUAllocator();
  const auto old = at::ones({static_cast<int64_t>(kMebi)});
  keep_large_blocks();
  EXPECT_EQ(c10::GetCPUAllocator(), &kept_blocks());
  const auto in_use = block_bytes().in_use;
  {
    auto tensor = at::zeros({static_cast<int64_t>(kMebi)});
    EXPECT_EQ(block_bytes().in_use, in_use + 4 * kMebi);
    tensor.fill_(7);
    const auto bytes = block_bytes();
    tensor = Tensor();
    tensor = at::zeros({static_cast<int64_t>(kMebi)});
    EXPECT_EQ(block_bytes().in_use, bytes.in_use);
    EXPECT_EQ(tensor.count_nonzero().item<int64_t>(), 0) << "what was there before is not zero";
    EXPECT_TRUE(at::equal(tensor + 1, old));
  }
  c10::SetCPUAllocator(before, 1);
}
