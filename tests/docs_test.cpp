// What the pages name exists: the functions of docs/math.md, the sections that the sources cite, the files that links
// lead to; and nothing is cited that the repository does not hold.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

fs::path source_dir() {
  return SDG_SOURCE_DIR;
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::string text_of(const fs::path& path) {
  std::string text;
  for (const auto& line : lines_of(path)) text += line + '\n';
  return text;
}

// Pages, sources, tests, scripts and settings; not what is built or stored as data.
std::vector<fs::path> texts() {
  static const std::set<std::string> kKinds{".md", ".h", ".cpp", ".py", ".sh", ".yaml", ".cmake", ".txt"};
  std::vector<fs::path> found;
  for (const char* folder : {"include", "src", "tests", "docs", "tools", "configs", "cmake"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source_dir() / folder)) {
      if (kKinds.count(entry.path().extension().string())) found.push_back(entry.path());
    }
  }
  found.push_back(source_dir() / "README.md");
  return found;
}

// `flow/path.h` is include/sdg/flow/path.h or, for inner ones, src/flow/path.h; `tests/...` is what it says.
fs::path header_of(const std::string& name) {
  for (const auto& root : {source_dir() / "include" / "sdg", source_dir() / "src", source_dir()}) {
    if (fs::is_regular_file(root / name)) return root / name;
  }
  return {};
}

std::vector<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::vector<std::string> found;
  for (auto at = std::sregex_iterator(text.begin(), text.end(), pattern); at != std::sregex_iterator(); ++at)
    found.push_back(at->str(1));
  return found;
}

bool has_word(const std::string& text, const std::string& word) {
  return std::regex_search(text, std::regex("\\b" + word + "\\b"));
}

const std::regex kBackticked("`([^`]+)`"), kHeaderName("[a-z_/]+\\.(h|cpp)"), kIdentifier("[A-Za-z_]+");

}  // namespace

TEST(Docs, EveryFunctionOfTheMathPageIsInItsHeader) {
  int seen = 0;
  for (const auto& line : lines_of(source_dir() / "docs" / "math.md")) {
    // In a cell of a table, the names after a header are of that header.
    for (const auto& cell : matches(line + "|", std::regex("([^|]*)\\|"))) {
      std::string declarations, header;
      for (const auto& name : matches(cell, kBackticked)) {
        if (std::regex_match(name, kHeaderName) && name.find('/') != std::string::npos) {
          ASSERT_FALSE(header_of(name).empty()) << "docs/math.md names " << name << ", which is no file: " << line;
          header = name;
          declarations = text_of(header_of(name));
          ++seen;
        } else if (!header.empty() && line.starts_with('|') && std::regex_match(name, kIdentifier)) {
          EXPECT_TRUE(has_word(declarations, name)) << "docs/math.md: " << header << " has no " << name << ": " << line;
          ++seen;
        }
      }
    }
  }
  EXPECT_GT(seen, 150) << "the pattern found hardly any name: has the page another form now?";
}

TEST(Docs, SectionsOfTheMathPageThatAreCitedExist) {
  std::set<std::string> headings;
  for (const auto& line : lines_of(source_dir() / "docs" / "math.md")) {
    if (line.starts_with("## ")) headings.insert(line.substr(3));
  }
  int seen = 0;
  for (const auto& path : texts()) {
    for (const auto& title : matches(text_of(path), std::regex("docs/math\\.md, \"([^\"]*)\""))) {
      // A title may be broken over two comment lines.
      const auto joined = std::regex_replace(title, std::regex("\\s*\\n\\s*(///?|#)?\\s*"), " ");
      EXPECT_TRUE(headings.count(joined)) << path << " cites docs/math.md, \"" << joined << "\"";
      ++seen;
    }
  }
  EXPECT_GT(seen, 5);
}

TEST(Docs, NothingIsCitedThatTheRepositoryDoesNotHold) {
  // Numbered notes that once lay beside the repository.
  const std::regex notes("(\\b(users|findings|toolchain|style)\\.md\\b|\\bmethod\\.md,? [0-9]|[Mm]ethod notes)");
  for (const auto& path : texts()) {
    if (path.filename() == "docs_test.cpp") continue;
    int number = 0;
    for (const auto& line : lines_of(path)) {
      ++number;
      if (line.find(".md") == std::string::npos && line.find("ethod notes") == std::string::npos) continue;
      EXPECT_FALSE(std::regex_search(line, notes)) << path << ":" << number << ": " << line;
    }
  }
}

TEST(Docs, LinksLeadToFiles) {
  const std::regex link("\\]\\(([^)#]+)(?:#[^)]*)?\\)");
  int seen = 0;
  for (const auto& path : texts()) {
    if (path.extension() != ".md") continue;
    // What stands in blocks of code is no link.
    const auto prose = std::regex_replace(text_of(path), std::regex("```[^`]*```"), "");
    for (const auto& target : matches(prose, link)) {
      if (target.find("://") != std::string::npos) continue;
      EXPECT_TRUE(fs::exists(path.parent_path() / target)) << path << " links to " << target;
      ++seen;
    }
  }
  EXPECT_GT(seen, 30);
}
