#include "sdg/network/guidance_ways.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/tiny_run.h"

using namespace sdg;
using ::testing::ElementsAre;
using ::testing::StartsWith;

namespace {

std::vector<std::string> ways(const std::string& source, const std::string& learn, int64_t inner,
                              bool conditioned = true) {
  auto config = test::tiny_config("unused", source);
  test::named(config.guided.learn, learn);
  config.guided.inner = inner;
  std::vector<std::string> out;
  for (const auto& way : network::ways_to_guide(config, conditioned)) out.push_back(cat(way.calls, " ", way.how));
  return out;
}

}  // namespace

TEST(WaysToGuide, AreWhatTheNetworkWasTrainedFor) {
  EXPECT_THAT(ways("none", "none", -1, false), ElementsAre());
  EXPECT_THAT(ways("none", "none", 2, false), ElementsAre("1 inner_guidance W: away from the head after block 2"));
  EXPECT_THAT(ways("label", "none", -1), ElementsAre(StartsWith("2 guidance W"), StartsWith("2 guide other")));
  EXPECT_THAT(ways("online", "gft", 0),
              ElementsAre(StartsWith("2 guidance W"), StartsWith("2 guide other"),
                          StartsWith("1 guide input, guidance 1 to 3.33"), StartsWith("1 inner_guidance W")));
  EXPECT_THAT(ways("online", "mg", -1), ElementsAre(StartsWith("2 guidance W"), StartsWith("2 guide other"),
                                                    StartsWith("1 guidance 1: trained to draw as with guidance 1.5")));
}

TEST(WaysToGuide, ByConditionsBeginWithThem) {
  EXPECT_THAT(ways("online", "gft", 1, false), ElementsAre(StartsWith("1 inner_guidance W")));
}
