#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "sdg/core/error.h"
#include "sdg/evaluate/read_ahead.h"
#include "support/temporary_folder.h"

using namespace sdg;

namespace {

std::vector<Tensor> three(int64_t done) {
  return {at::scalar_tensor(done), at::scalar_tensor(done + 1), at::scalar_tensor(done + 2)};
}

}  // namespace

TEST(ReadAhead, ThePiecesAndTheirOrderAreTheSame) {
  for (const bool ahead : {false, true}) {
    std::vector<double> seen;
    std::vector<int64_t> counts;
    evaluate::in_pieces(9, ahead, three, [&](const std::vector<Tensor>& piece, int64_t done) {
      for (const auto& value : piece) seen.push_back(value.item<double>());
      counts.push_back(done);
    });
    EXPECT_EQ(seen, (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
    EXPECT_EQ(counts, (std::vector<int64_t>{3, 6, 9}));
  }
}

// While a piece is looked at the next one is read, and no further one.
TEST(ReadAhead, OnePieceIsReadMeanwhile) {
  std::atomic<int64_t> begun{0};
  const auto read = [&](int64_t done) {
    begun = done + 3;
    return three(done);
  };
  evaluate::in_pieces(12, true, read, [&](const std::vector<Tensor>&, int64_t done) {
    const auto ahead = std::min<int64_t>(12, done + 3);
    for (int wait = 0; wait < 1000 && begun < ahead; ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(begun, ahead);
  });
  begun = 0;
  evaluate::in_pieces(12, false, read, [&](const std::vector<Tensor>&, int64_t done) { EXPECT_EQ(begun, done); });
}

TEST(ReadAhead, WhatAReaderThrowsComesAfterThePiecesBeforeIt) {
  int64_t taken = 0;
  const auto read = [](int64_t done) {
    SDG_CHECK(done < 6, "cut short");
    return three(done);
  };
  const auto count = [&](const std::vector<Tensor>&, int64_t done) { taken = done; };
  EXPECT_EQ(test::message_of<Error>([&] { evaluate::in_pieces(12, true, read, count); }), "cut short");
  EXPECT_EQ(taken, 6);
  // What the taker throws ends it, too, once the reader is done.
  const auto refuse = [](const std::vector<Tensor>&, int64_t) { throw Error("full"); };
  EXPECT_EQ(test::message_of<Error>([&] { evaluate::in_pieces(12, true, three, refuse); }), "full");
}
