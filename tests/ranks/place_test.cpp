// Where a process stands among others, how long it waits for them, and how they exchange tensors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "ranks/variables.h"
#include "sdg/core/error.h"
#include "sdg/ranks/launcher.h"
#include "sdg/ranks/ranks.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::Variables;

TEST(PlaceFromEnvironment, IsWhatTorchrunSays) {
  EXPECT_FALSE(ranks::place_from_environment());
  const Variables variables({{"RANK", "3"},
                             {"WORLD_SIZE", "8"},
                             {"LOCAL_RANK", "1"},
                             {"MASTER_ADDR", "node0"},
                             {"MASTER_PORT", "29500"},
                             {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                             {"TORCHELASTIC_RESTART_COUNT", "2"}});
  const auto place = ranks::place_from_environment().value();
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.ranks, 8);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.host, "node0");
  EXPECT_EQ(place.port, 29500);
  EXPECT_TRUE(place.hosted);
  EXPECT_EQ(place.attempt, 2);
}

TEST(PlaceFromEnvironment, AValueThatCannotBeIsNamed) {
  const auto message = [](const std::vector<std::pair<std::string, std::string>>& values) {
    const Variables variables(values);
    return test::message_of<UsageError>([] { ranks::place_from_environment(); });
  };
  EXPECT_EQ(message({{"RANK", "2"}, {"WORLD_SIZE", "2"}}),
            "environment variable RANK: expected a whole number from 0 to 1, got '2'");
  EXPECT_THAT(message({{"RANK", "0"}}), testing::HasSubstr("WORLD_SIZE: expected a whole number"));
  EXPECT_THAT(message({{"RANK", "0"}, {"WORLD_SIZE", "two"}}), testing::HasSubstr("got 'two'"));
  EXPECT_THAT(message({{"RANK", "0"}, {"WORLD_SIZE", "2"}}), testing::HasSubstr("MASTER_ADDR"));
  EXPECT_THAT(message({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "node0"}, {"MASTER_PORT", "70000"}}),
              testing::HasSubstr("MASTER_PORT: expected a whole number from 1 to 65535"));
}

TEST(PlaceFromEnvironment, IsWhatSrunSaysWhereTorchrunDoesNot) {
  const Variables variables({{"SLURM_PROCID", "3"},
                             {"SLURM_STEP_NUM_TASKS", "8"},
                             {"SLURM_LOCALID", "1"},
                             {"SLURM_STEP_NODELIST", "gpu[07-08]"},
                             {"SLURM_JOB_ID", "123456"},
                             {"SLURM_STEP_ID", "2"}});
  const auto place = ranks::place_from_environment().value();
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.ranks, 8);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.host, "gpu07");
  EXPECT_EQ(place.port, 23458);
  EXPECT_FALSE(place.hosted);
  const Variables torchrun({{"RANK", "0"}, {"WORLD_SIZE", "1"}});
  EXPECT_EQ(ranks::place_from_environment()->ranks, 1) << "torchrun within a step counts";
}

TEST(PlaceFromEnvironment, ABatchScriptIsNoRank) {
  const Variables variables({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}});
  EXPECT_FALSE(ranks::place_from_environment());
}

TEST(FirstMachine, OfSlurmsLists) {
  EXPECT_EQ(ranks::first_machine("node1"), "node1");
  EXPECT_EQ(ranks::first_machine("node1,node2"), "node1");
  EXPECT_EQ(ranks::first_machine("node[07-09,12],gpu1"), "node07");
  EXPECT_EQ(ranks::first_machine("rack[2,4]-a,b"), "rack2-a");
  EXPECT_EQ(ranks::first_machine(""), "");
}

// A rank that stops is found out when patience ends, in about 5 s; then a launcher waits for the others, asks, and
// ends.
TEST(Patience, AndGraceEndAllWithinAMinute) {
  EXPECT_LT(ranks::kPatience + std::chrono::seconds(5) + 2 * ranks::kGrace, std::chrono::seconds(60));
  EXPECT_EQ(ranks::LaunchOptions().grace, ranks::kGrace);
}

TEST(Exchange, IsByNcclOnGpusWhereThisBuildHasIt) {
  using ranks::Exchange;
  const at::Device gpu(at::kCUDA, 0), cpu(at::kCPU);
  EXPECT_TRUE(ranks::choose_exchange(Exchange::kAuto, gpu, "").nccl);
  EXPECT_TRUE(ranks::choose_exchange(Exchange::kNccl, gpu, "").nccl);
  EXPECT_FALSE(ranks::choose_exchange(Exchange::kGloo, gpu, "").nccl);
  EXPECT_FALSE(ranks::choose_exchange(Exchange::kAuto, cpu, "").nccl);
  EXPECT_EQ(ranks::choose_exchange(Exchange::kAuto, cpu, "no NCCL").note, "") << "nobody needs it there";
  const auto without = ranks::choose_exchange(Exchange::kAuto, gpu, "this build has no NCCL");
  EXPECT_FALSE(without.nccl);
  EXPECT_EQ(without.note, "gradients go through main memory, which is slow: this build has no NCCL");
  EXPECT_EQ(
      test::message_of<UsageError>([&] { ranks::choose_exchange(Exchange::kNccl, gpu, "this build has no NCCL"); }),
      "--exchange nccl: this build has no NCCL");
  EXPECT_EQ(test::message_of<UsageError>([&] { ranks::choose_exchange(Exchange::kNccl, cpu, ""); }),
            "--exchange nccl: needs GPUs, and this rank computes on cpu; leave it out, and tensors go through main "
            "memory (gloo)");
}
