#include "sdg/cluster/row_queue.h"

#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "support/thread_reducer.h"

using namespace sdg;
using cluster::RowQueue;

namespace {
Tensor rows(int64_t first, int64_t count) {
  return at::arange(first, first + count, at::kFloat).unsqueeze(1).repeat({1, 2});
}
std::vector<float> sorted(const Tensor& rows) {
  const auto column = std::get<0>(rows.select(1, 0).contiguous().sort());
  return {column.const_data_ptr<float>(), column.const_data_ptr<float>() + column.numel()};
}
}  // namespace

TEST(RowQueue, HoldsTheLastRowsWhateverThePiecesWere) {
  for (const int64_t piece : {1, 2, 3, 5, 7, 20}) {
    RowQueue queue(5, 2, at::kCPU);
    for (int64_t first = 0; first < 20; first += piece) queue.push(rows(first, std::min(piece, 20 - first)));
    EXPECT_EQ(sorted(queue.rows()), (std::vector<float>{15, 16, 17, 18, 19})) << piece;
    EXPECT_EQ(queue.seen(), 20);
  }
}

TEST(RowQueue, HoldsOnlyWhatWasPushedWhileItFills) {
  RowQueue queue(5, 2, at::kCPU);
  EXPECT_EQ(queue.rows().size(0), 0);
  queue.push(rows(0, 3));
  EXPECT_EQ(sorted(queue.rows()), (std::vector<float>{0, 1, 2}));
}

TEST(RowQueue, GoesOnFromWhatWasStored) {
  RowQueue whole(4, 2, at::kCPU), stored(4, 2, at::kCPU), restored(4, 2, at::kCPU);
  whole.push(rows(0, 6));
  stored.push(rows(0, 6));
  restored.restore(stored.data().clone(), stored.seen());
  whole.push(rows(6, 3));
  restored.push(rows(6, 3));
  EXPECT_TRUE(at::equal(whole.data(), restored.data()));
  EXPECT_THROW(restored.restore(at::zeros({4, 3}), 1), Error);
}

TEST(RowQueue, OfAnotherLengthTakesTheLatestRowsInTheirOrder) {
  for (const int64_t seen : {2, 4, 6, 9}) {
    RowQueue stored(4, 2, at::kCPU);
    stored.push(rows(0, seen));
    for (const int64_t length : {2, 3, 7}) {
      RowQueue restored(length, 2, at::kCPU), fresh(length, 2, at::kCPU);
      restored.restore(stored.data().clone(), stored.seen());
      const auto held = std::min<int64_t>(seen, 4);
      fresh.push(rows(seen - held, held));
      EXPECT_TRUE(at::equal(restored.rows(), fresh.rows())) << seen << " rows, then " << length;
      restored.push(rows(seen, 2));
      fresh.push(rows(seen, 2));
      EXPECT_TRUE(at::equal(restored.rows(), fresh.rows())) << seen << " rows, then " << length;
    }
  }
}

TEST(RowQueue, WithoutRoomKeepsNothing) {
  RowQueue queue(0, 2, at::kCPU);
  queue.push(rows(0, 3));
  EXPECT_EQ(queue.capacity(), 0);
  EXPECT_THROW(queue.rows(), Error);
}

TEST(QueueRows, BringTheBatchToTwiceTheClusters) {
  EXPECT_EQ(cluster::queue_rows(20, 128), 0);
  EXPECT_EQ(cluster::queue_rows(100, 128), 72);
  EXPECT_EQ(cluster::queue_rows(5000, 1024), 8976);
}

TEST(RowQueue, OverRanksHoldsTheRowsOfAllInTheirOrder) {
  RowQueue one(5, 2, at::kCPU);
  for (const int64_t first : {0, 3, 10}) one.push(rows(first, 7));
  test::on_divisions(7, [&](Reducer& reducer, const auto& division) {
    RowQueue queue(5, 2, at::kCPU);
    for (const int64_t first : {0, 3, 10}) queue.push(test::share(rows(first, 7), division, reducer), reducer);
    EXPECT_TRUE(at::equal(queue.data(), one.data()));
    EXPECT_EQ(queue.seen(), one.seen());
    EXPECT_TRUE(at::equal(reducer.all_gather(queue.rows(reducer)), one.rows())) << "a row is in no part or in two";
  });
}
