#include "sdg/core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Errors, OfTheProgramAreToldFromThoseOfTheUser) {
  const auto broken = [](int64_t rows) { SDG_ASSERT(rows == 2, "table: expected 2 rows, got ", rows); };
  broken(2);
  try {
    broken(3);
    FAIL();
  } catch (const sdg::UsageError&) {
    FAIL() << "taken for the user's mistake";
  } catch (const sdg::InternalError& error) {
    EXPECT_THAT(error.what(), AllOf(StartsWith("table: expected 2 rows, got 3 ["), HasSubstr("rows == 2")));
  }
  EXPECT_THROW(broken(4), sdg::Error) << "what catches the program's errors catches this";
}
