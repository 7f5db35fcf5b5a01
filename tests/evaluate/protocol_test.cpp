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
}

}  // namespace sdg::evaluate
