// docs/cli/ holds what the program says of itself, so that a change of it is seen where changes are looked at.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "cli/help_format.h"
#include "program.h"

using namespace sdg;

namespace {

const std::filesystem::path kPages = SDG_SOURCE_DIR "/docs/cli";
constexpr const char* kAnew = "write the pages anew: tools/write_docs.sh";

// The commands that `sdg --help` lists.
std::vector<std::string> listed() {
  const test::TemporaryFolder folder;
  const auto help = test::run_program(folder.path(), "--help").out;
  const auto begin = help.find("Subcommands:\n");
  const auto list = help.substr(begin, help.find("\n\n", begin) - begin);
  std::vector<std::string> names;
  const std::regex name("\\n  ([a-z-]+) ");
  for (auto at = std::sregex_iterator(list.begin(), list.end(), name); at != std::sregex_iterator(); ++at)
    names.push_back(at->str(1));
  return names;
}

}  // namespace

TEST(Help, NamesWhatAnOptionExcludesInOneOrderWhereverOptionsLie) {
  std::vector<std::string> names{"--a", "--b", "--c", "--d", "--e"};
  for (const bool reversed : {false, true}) {
    if (reversed) std::reverse(names.begin(), names.end());
    CLI::App app;
    app.formatter(std::make_shared<cli::HelpFormat>());
    for (const auto& name : names) app.add_flag(name);
    auto* option = app.add_flag("--option");
    for (const auto& name : names) option->excludes(app.get_option(name));
    option->needs(app.get_option("--c"));
    EXPECT_NE(app.help().find("--option Needs: --c Excludes: --a --b --c --d --e\n"), std::string::npos) << app.help();
  }
}

TEST(Help, OfEveryCommandIsThePageInDocs) {
  const test::TemporaryFolder folder;
  std::set<std::string> pages{"sdg.txt"};
  EXPECT_EQ(test::run_program(folder.path(), "--help").out, test::read_text(kPages / "sdg.txt")) << kAnew;
  for (const auto& name : listed()) {
    const auto page = name + ".txt";
    pages.insert(page);
    ASSERT_TRUE(std::filesystem::exists(kPages / page)) << page << " is missing; " << kAnew;
    EXPECT_EQ(test::run_program(folder.path(), name + " --help").out, test::read_text(kPages / page)) << kAnew;
  }
  EXPECT_GE(pages.size(), 15U);
  for (const auto& entry : std::filesystem::directory_iterator(kPages))
    EXPECT_TRUE(pages.count(entry.path().filename().string())) << entry.path() << " is of no command; " << kAnew;
}

TEST(Help, DoesNotDependOnTheTerminal) {
  const test::TemporaryFolder folder;
  const auto wide = test::run_program(folder.path(), "sample --help", "COLUMNS=400 TERM=xterm ").out;
  const auto narrow = test::run_program(folder.path(), "sample --help", "COLUMNS=30 TERM=dumb ").out;
  EXPECT_FALSE(wide.empty());
  EXPECT_EQ(wide, narrow);
}
