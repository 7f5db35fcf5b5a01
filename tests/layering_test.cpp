// The order of the folders is a promise: an include may point only to a folder that stands earlier in the line.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace fs = std::filesystem;

const std::vector<std::string> kOrder = {"core", "config", "io",      "data",    "nn",    "model",
                                         "flow", "sample", "cluster", "metrics", "train", "cli"};
// Folders that could see another one by the order, and must not: algorithms take functions and tensors, not frameworks.
const std::map<std::string, std::set<std::string>> kAllowed = {
    {"core", {}},
    {"config", {"core"}},
    {"io", {"core"}},
    {"data", {"core", "config", "io"}},
    {"nn", {"core", "config"}},
    {"model", {"core", "config", "io", "nn"}},
    {"flow", {"core", "config"}},
    {"sample", {"core", "config", "flow"}},
    {"cluster", {"core", "config"}},
    {"metrics", {"core", "config", "io", "nn"}},
};
// Single headers of a folder that is otherwise out of sight: plain words that both sides need.
const std::map<std::string, std::set<std::string>> kAllowedHeaders = {
    {"flow", {"model/prediction.h"}},
};

fs::path source_dir() {
  return SDG_SOURCE_DIR;
}

TEST(Layering, IncludesPointOnlyToEarlierFolders) {
  const std::regex include_line("^\\s*#include\\s+\"(?:sdg/)?(([a-z]+)/[^\"]+)\"");
  int seen = 0;
  for (const auto& root : {source_dir() / "include" / "sdg", source_dir() / "src"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      const std::string folder = fs::relative(entry.path(), root).begin()->string();
      const auto rank = std::find(kOrder.begin(), kOrder.end(), folder);
      if (rank == kOrder.end()) continue;  // sdg.h and main.cpp see everything
      std::ifstream file(entry.path());
      std::string line;
      std::smatch match;
      while (std::getline(file, line)) {
        if (!std::regex_search(line, match, include_line)) continue;
        const std::string header = match[1], target = match[2];
        const auto target_rank = std::find(kOrder.begin(), kOrder.end(), target);
        if (target_rank == kOrder.end() || target == folder) continue;
        ++seen;
        EXPECT_LT(target_rank, rank) << entry.path() << " includes " << match[0];
        const auto headers = kAllowedHeaders.find(folder);
        if (headers != kAllowedHeaders.end() && headers->second.count(header)) continue;
        const auto allowed = kAllowed.find(folder);
        if (allowed != kAllowed.end()) {
          EXPECT_TRUE(allowed->second.count(target)) << entry.path() << " may not know " << target;
        }
      }
    }
  }
  EXPECT_GT(seen, 20) << "the pattern found hardly any include: is the test looking at the right folder?";
}

TEST(Layering, FilesStayShort) {
  for (const auto& root : {source_dir() / "include", source_dir() / "src", source_dir() / "tests"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      std::ifstream file(entry.path());
      const auto lines = std::count(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>(), '\n');
      EXPECT_LE(lines, 500) << entry.path() << ": past 500 lines, split it by subject";
    }
  }
}
