#include "sdg/learn/bucket_exchange.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "learn/seven_shards.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "support/thread_reducer.h"

using namespace sdg;

namespace {

constexpr int64_t kSize = 1000;

// Unlike enough that the order in which ranks are added shows.
Tensor gradient_of(int64_t rank) {
  return rng::normal({rank + 1ULL, rng::Purpose::kTest, 0}, {0}, {kSize})[0] * 1e3F;
}

Tensor expected_of(int64_t ranks) {
  auto sum = gradient_of(0);
  for (int64_t rank = 1; rank < ranks; ++rank) sum = sum + gradient_of(rank);
  return sum;
}

}  // namespace

TEST(BucketExchange, HasTheBitsOfTheRanksOrderHoweverItIsFilled) {
  EXPECT_FALSE(at::equal(expected_of(3), gradient_of(2) + gradient_of(1) + gradient_of(0))) << "tests nothing";
  for (const int64_t ranks : {2, 3, 5}) {
    for (const int64_t bucket : {7, 64, 999, 1000, 5000, 0}) {
      for (const int64_t stride : {0, 1, 150, 1000}) {
        test::on_ranks(ranks, [&](Reducer& reducer) {
          const auto own = gradient_of(reducer.rank());
          auto gradient = at::full({kSize}, NAN);
          learn::BucketExchange exchange(gradient, reducer, bucket);
          // Ranks are not equally fast, nor do they fill alike.
          const auto own_stride = stride == 0 ? 0 : stride + 3 * reducer.rank();
          for (int64_t first = kSize; own_stride > 0 && first > 0;) {
            const auto next = std::max<int64_t>(0, first - own_stride);
            gradient.slice(0, next, first).copy_(own.slice(0, next, first));
            exchange.filled(first = next);
          }
          if (own_stride == 0) gradient.copy_(own);
          exchange.finish();
          EXPECT_TRUE(at::equal(gradient, expected_of(ranks))) << ranks << ", " << bucket << ", " << stride;
        });
      }
    }
  }
}

TEST(BucketExchange, SendsTheEndWhileTheBeginningIsNotThere) {
  test::on_ranks(2, [&](Reducer& reducer) {
    const auto own = gradient_of(reducer.rank());
    auto gradient = at::zeros({kSize});
    gradient.slice(0, 600).copy_(own.slice(0, 600));
    learn::BucketExchange exchange(gradient, reducer, 200);
    exchange.filled(600);
    const auto end = expected_of(2).slice(0, 600);
    for (int i = 0; i < 4000 && !at::equal(gradient.slice(0, 600), end); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(at::equal(gradient.slice(0, 600), end));
    gradient.slice(0, 0, 600).copy_(own.slice(0, 0, 600));
    exchange.finish();
    EXPECT_TRUE(at::equal(gradient, expected_of(2)));
  });
}

TEST(BucketExchange, MayBeGivenUp) {
  test::on_ranks(2, [&](Reducer& reducer) {
    auto gradient = at::ones({kSize});
    learn::BucketExchange unused(gradient, reducer, 200), begun(gradient, reducer, 400);
    begun.filled(600);  // one bucket goes, and no more
  });
}

TEST(BucketExchange, TellsOfALostRank) {
  const auto work = [](Reducer& reducer) {
    SDG_CHECK(reducer.rank() != 1, "not enough memory");
    auto gradient = at::ones({kSize});
    learn::BucketExchange exchange(gradient, reducer, 100);
    exchange.filled(500);
    EXPECT_THROW(exchange.finish(), Error);
  };
  EXPECT_THROW(test::on_ranks(2, work), Error);
}
