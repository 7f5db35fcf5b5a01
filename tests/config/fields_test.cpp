#include "sdg/config/fields.h"

#include <gmock/gmock.h>

#include "config/sample_options.h"
#include "sdg/core/error.h"

namespace sdg::config {
namespace {

// What a declaration that is the program's own mistake says, without the place in the code.
template <class Declare>
std::string declaration_error(Declare&& declare) {
  Fields fields;
  try {
    declare(fields);
  } catch (const InternalError& error) {
    const std::string message = error.what();
    return message.substr(0, message.find(" ["));
  }
  return "";
}

TEST(Fields, PathsFollowTheGroupsInOrderOfDeclaration) {
  test::RunOptions options;
  std::vector<std::string> paths;
  const Fields fields = Fields::of(options);
  for (const auto& field : fields.list()) paths.push_back(field.path);
  EXPECT_THAT(paths,
              testing::ElementsAre("seed", "train.steps", "train.ema.decay", "train.ema.warmup", "train.batch",
                                   "train.lr", "data.path", "data.format", "data.sides", "data.offset", "data.shift"));
  ASSERT_TRUE(fields.find_group("train.ema"));
  EXPECT_EQ(fields.find_group("train.ema")->help, "The averaged weights");
  EXPECT_FALSE(fields.find_group("ema"));
}

TEST(Fields, FindGivesTheBoundFieldOrNothing) {
  test::RunOptions options;
  const Fields fields = Fields::of(options);
  ASSERT_TRUE(fields.find("train.steps"));
  EXPECT_EQ(std::get<int64_t*>(fields.find("train.steps")->slot), &options.train.steps);
  EXPECT_EQ(fields.find("steps"), nullptr);
  EXPECT_EQ(fields.find("train"), nullptr);
}

TEST(Fields, TheValueAtDeclarationIsKept) {
  test::RunOptions options;
  const Fields fields = Fields::of(options);
  options.train.steps = 7;
  EXPECT_EQ(std::get<int64_t>(fields.find("train.steps")->initial), 1500);
}

TEST(Fields, ASecondDeclarationOfAPathThrows) {
  int64_t steps = 0;
  EXPECT_EQ(declaration_error([&](Fields& fields) {
              fields("steps", &steps, {.help = ""});
              fields("steps", &steps, {.help = ""});
            }),
            "option steps: declared twice");
}

TEST(Fields, AnOptionAndAGroupCannotShareAPath) {
  test::TrainOptions train;
  int64_t number = 0;
  EXPECT_EQ(declaration_error([&](Fields& fields) {
              fields("train", &number, {.help = ""});
              fields.group("train", train, "");
            }),
            "group train: declared as an option already");
  EXPECT_EQ(declaration_error([&](Fields& fields) {
              fields.group("train", train, "");
              fields("train", &number, {.help = ""});
            }),
            "option train: declared twice");
}

TEST(Fields, NamesThatYamlOrTheDotsCouldConfuseAreRefused) {
  int64_t number = 0;
  EXPECT_EQ(declaration_error([&](Fields& fields) { fields("a.b", &number, {.help = ""}); }),
            "option a.b: expected a name of a-z, 0-9 and _, got \"a.b\"");
  EXPECT_NE(declaration_error([&](Fields& fields) { fields("", &number, {.help = ""}); }), "");
  EXPECT_EQ(declaration_error([&](Fields& fields) { fields("extends", &number, {.help = ""}); }),
            "option extends: this name is kept for the configs themselves");
}

}  // namespace
}  // namespace sdg::config
