#include "run/out_of_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "sdg/network/cost.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {
recipe::RunConfig large() {
  auto config = test::tiny_config("unused");
  config.model = {};
  config.model.name = "uvit-S/2";
  config.data.size = 32;
  config.data.channels = 4;
  config.train.batch = 512;
  config.train.micro_batch = 512;
  return config;
}

double bytes_of(const recipe::RunConfig& config) {
  network::Machine machine;
  machine.gpus = 1;
  return static_cast<double>(network::estimate_cost(config, machine).bytes());
}
}  // namespace

TEST(OutOfMemory, NamesTheFirstMicroBatchThatFits) {
  const auto message = run::out_of_memory(
      large(), 1,
      "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 16.00 GiB of which 1 is free");
  EXPECT_THAT(message, ::testing::StartsWith("CUDA out of memory. This configuration takes about "));
  EXPECT_THAT(message, HasSubstr("which should fit into 16.0 GiB"));
  // As the estimate itself has it: that fits, and twice as many images do not.
  const std::regex wanted("train.micro_batch=([0-9]+)");
  std::smatch found;
  ASSERT_TRUE(std::regex_search(message, found, wanted)) << message;
  auto config = large();
  config.train.micro_batch = std::stoll(found[1]);
  constexpr double kRoom = 0.85 * 16 * (1 << 30);
  EXPECT_LE(bytes_of(config), kRoom);
  config.train.micro_batch *= 2;
  EXPECT_GT(bytes_of(config), kRoom);
}

TEST(OutOfMemory, SaysSoWhereNothingFits) {
  EXPECT_THAT(run::out_of_memory(large(), 1, "CUDA out of memory. GPU 0 has a total capacity of 100.00 MiB"),
              HasSubstr("take a smaller network"));
  EXPECT_THAT(run::out_of_memory(large(), 1, "out of memory"), HasSubstr("GiB with train.micro_batch="));
}
