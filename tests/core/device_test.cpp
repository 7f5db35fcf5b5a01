#include "sdg/core/device.h"

#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <cstdlib>

#include "sdg/core/error.h"
#include "sdg/core/precision.h"
#include "sdg/core/version.h"
#include "support/temporary_folder.h"

using namespace sdg;
using ::testing::HasSubstr;

TEST(Device, SaysInOneLineWhatIsNotThere) {
  for (const auto* name : {"tpu", "", "cpu:x", "gpu"}) {
    const auto said = test::message_of<UsageError>([&] { parse_device(name); });
    EXPECT_EQ(said, cat("device must be auto, cpu, cuda or cuda:N, got ", name));
  }
  if (torch::cuda::is_available()) GTEST_SKIP() << "the rest is said where there is no CUDA device";
  EXPECT_TRUE(parse_device("auto").is_cpu());
  const auto said = test::message_of<UsageError>([] { parse_device("cuda"); });
  EXPECT_THAT(said, HasSubstr("device cuda asked for, but this LibTorch sees no CUDA device"));
  EXPECT_THAT(said,
              HasSubstr(cuda_version().empty() ? "(it was built for CPUs only)" : "is there a card, and a driver"));
}

TEST(Device, OnlyGpusAreToldToBeDeterministic) {
  auto& context = at::globalContext();
  ASSERT_FALSE(context.deterministicAlgorithms());
  only_deterministic(at::kCPU);
  EXPECT_FALSE(context.deterministicAlgorithms());
  only_deterministic(at::Device("cuda:0"));
  EXPECT_TRUE(context.deterministicAlgorithms());
  EXPECT_FALSE(context.deterministicAlgorithmsWarnOnly());
  EXPECT_TRUE(context.deterministicCuDNN());
  EXPECT_STREQ(std::getenv("CUBLAS_WORKSPACE_CONFIG"), ":4096:8");
  context.setDeterministicAlgorithms(false, false);
}
