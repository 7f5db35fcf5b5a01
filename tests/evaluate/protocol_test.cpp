#include "sdg/evaluate/protocol.h"

#include <gtest/gtest.h>

namespace sdg::evaluate {

TEST(Protocol, IdIsOfEveryFieldAndItsValue) {
  const Protocol a{{"extractor", "inception"}, {"count", "50000"}};
  EXPECT_EQ(protocol_id(a).size(), 16U);
  EXPECT_EQ(protocol_id(a), protocol_id(Protocol(a)));
  EXPECT_NE(protocol_id(a), protocol_id({{"extractor", "inception"}, {"count", "10000"}}));
  EXPECT_NE(protocol_id(a), protocol_id({{"extractor", "inception"}}));
  EXPECT_NE(protocol_id({{"ab", "c"}}), protocol_id({{"a", "bc"}}));
}

TEST(Protocol, DifferencesAreNamedFromEitherSide) {
  const Protocol a{{"count", "50000"}, {"sample.solver", "euler"}}, b{{"count", "10000"}, {"drawn", "elsewhere"}};
  EXPECT_EQ(protocol_differences(a, b),
            (std::vector<std::string>{"count 50000 against 10000", "sample.solver euler against none",
                                      "drawn none against elsewhere"}));
  EXPECT_TRUE(protocol_differences(a, a).empty());
  // How a metric is taken matters to results that both have it.
  const Protocol kid{{"kid", "100 subsets of 1000"}}, other{{"kid", "100 subsets of 300"}}, none;
  EXPECT_TRUE(protocol_differences(kid, none).empty() && protocol_differences(none, kid).empty());
  EXPECT_EQ(protocol_differences(kid, other).size(), 1U);
}

// The ids in the documents are of these fields. An option that is added later must be left out where it does nothing.
TEST(Protocol, WhatIsDrawnByDefaultHasTheFieldsThatItAlwaysHad) {
  sample::SampleOptions sample;
  sample.guidance = 1.5;
  Protocol protocol;
  add_drawn(protocol, sample, recipe::Source::kOnline);
  std::string fields;
  for (const auto& [field, value] : protocol) fields += field.substr(7) + " ";
  EXPECT_EQ(fields,
            "steps guidance guidance_begin guidance_end solver grid precision guidance_channels guidance_convention "
            "guidance_schedule guide guidance_rescale guidance_every clip prior prior_temperature condition ");
  sample.inner_guidance = 2;
  Protocol inner;
  add_drawn(inner, sample, recipe::Source::kOnline);
  EXPECT_NE(protocol_id(inner), protocol_id(protocol));
}

}  // namespace sdg::evaluate
