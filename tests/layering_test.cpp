// The order of the rooms is a promise: an include may point only to a room that stands earlier in the line.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

// What each room may see of the rooms before it. The order alone would allow more: algorithms take functions and
// tensors, not frameworks.
const std::map<std::string, std::set<std::string>> kAllowed = {
    {"core", {}},
    {"ranks", {"core"}},
    {"config", {"core"}},
    {"io", {"core"}},
    {"tensors", {"core", "io"}},
    {"image", {"core", "io"}},
    {"report", {"core", "io", "image"}},
    {"data", {"core", "config", "io", "tensors", "image"}},
    {"nn", {"core", "config"}},
    {"vision", {"core", "config", "io", "tensors", "image", "nn"}},
    {"flow", {"core", "config"}},
    {"model", {"core", "config", "tensors", "nn", "flow"}},
    {"sample", {"core", "config", "flow"}},
    {"cluster", {"core", "config", "nn"}},
    {"metrics", {"core", "tensors"}},
    {"average", {"core"}},
    {"regions", {"core", "config", "io", "tensors", "image", "data", "cluster"}},
    {"recipe", {"core", "config", "data", "flow", "model", "sample", "cluster", "average"}},
    {"network", {"core", "config", "data", "nn", "flow", "model", "cluster", "recipe"}},
    {"learn", {"core", "config", "tensors", "data", "flow", "model", "cluster", "average", "recipe", "network"}},
    {"cludi", {"core", "config", "nn", "cluster", "network", "learn"}},
    {"checkpoint", {"core", "config", "io", "tensors", "data", "nn", "cluster", "average", "recipe", "network"}},
};

fs::path source_dir() {
  return SDG_SOURCE_DIR;
}

// The rooms in their order, as the build knows them.
std::vector<std::string> rooms() {
  std::ifstream file(source_dir() / "cmake" / "SdgRooms.cmake");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::string opening = "set(SDG_ROOMS ";
  const auto begin = text.find(opening);
  std::istringstream words(text.substr(begin + opening.size(), text.find(')', begin) - begin - opening.size()));
  return {std::istream_iterator<std::string>(words), {}};
}

TEST(Layering, IncludesPointOnlyToEarlierRooms) {
  const auto order = rooms();
  ASSERT_GT(order.size(), 20U) << "cmake/SdgRooms.cmake could not be read";
  const std::regex include_line("^\\s*#include\\s+\"(?:sdg/)?(([a-z]+)/[^\"]+)\"");
  int seen = 0;
  for (const auto& root : {source_dir() / "include" / "sdg", source_dir() / "src"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      const std::string folder = fs::relative(entry.path(), root).begin()->string();
      if (!entry.path().parent_path().compare(root)) continue;  // sdg.h and main.cpp see everything
      const auto rank = std::find(order.begin(), order.end(), folder);
      ASSERT_NE(rank, order.end()) << entry.path() << ": its folder is no room of cmake/SdgRooms.cmake";
      std::ifstream file(entry.path());
      std::string line;
      std::smatch match;
      while (std::getline(file, line)) {
        if (!std::regex_search(line, match, include_line)) continue;
        const std::string target = match[2];
        const auto target_rank = std::find(order.begin(), order.end(), target);
        if (target_rank == order.end() || target == folder) continue;
        ++seen;
        EXPECT_LT(target_rank, rank) << entry.path() << " includes " << match[0];
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
      EXPECT_LE(lines, 400) << entry.path() << ": past 400 lines, split it by subject";
    }
  }
}

// A room that grows past all others hides subjects that want a room of their own.
TEST(Layering, NoRoomHoldsMoreThanItsShare) {
  std::map<std::string, int64_t> lines;
  std::vector<int64_t> files;
  int64_t all = 0;
  for (const auto& root : {source_dir() / "include" / "sdg", source_dir() / "src"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      std::ifstream file(entry.path());
      const auto count = std::count(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>(), '\n');
      lines[fs::relative(entry.path(), root).begin()->string()] += count;
      files.push_back(count);
      all += count;
    }
  }
  for (const auto& [room, count] : lines) EXPECT_LE(count * 100, all * 15) << room << ": over 15 % of all lines";
  std::nth_element(files.begin(), files.begin() + static_cast<int64_t>(files.size() / 2), files.end());
  EXPECT_LE(files[files.size() / 2], 60) << "the median file";
}
