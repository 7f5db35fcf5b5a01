#include "sdg/io/file_tree.h"

#include <algorithm>
#include <map>

#include "sdg/core/error.h"

namespace sdg::io {
namespace {

constexpr int64_t kMostLinks = 40;          // of one path; Linux follows no more
constexpr int64_t kMostFolders = 10000000;  // visits, of which a chain of doubled links makes 2^n

/// Which links go round in a circle: those to a folder above their own, and, without these, those between folders that
/// lead to each other and back (Tarjan's strongly connected components, without recursion).
class Circles {
 public:
  explicit Circles(const FileTree& tree)
      : tree_(tree),
        parent_(tree.folders.size(), -1),
        order_(tree.folders.size(), -1),
        low_(tree.folders.size()),
        circle_(tree.folders.size(), -1) {
    for (size_t i = 0; i < tree.folders.size(); ++i) {
      for (const auto& entry : tree.folders[i]) {
        if (entry.folder >= 0 && !entry.link) parent_[static_cast<size_t>(entry.folder)] = static_cast<int64_t>(i);
      }
    }
    for (size_t i = 0; i < tree.folders.size(); ++i) {
      if (order_[i] < 0) search(static_cast<int64_t>(i));
    }
  }
  bool holds(int64_t folder, const FileTree::Entry& link) const {
    return circle_[static_cast<size_t>(folder)] == circle_[static_cast<size_t>(link.folder)] || leads_up(folder, link);
  }

 private:
  struct Frame {
    size_t folder, next = 0;  // the entry to look at
  };

  bool leads_up(int64_t folder, const FileTree::Entry& entry) const {
    if (!entry.link) return false;
    while (folder >= 0 && folder != entry.folder) folder = parent_[static_cast<size_t>(folder)];
    return folder >= 0;
  }

  void search(int64_t from) {
    std::vector<Frame> frames;
    const auto begin = [&](size_t folder) {
      order_[folder] = low_[folder] = count_++;
      open_.push_back(folder);
      frames.push_back({folder});
    };
    begin(static_cast<size_t>(from));
    while (!frames.empty()) {
      auto& [folder, next] = frames.back();
      const auto& entries = tree_.folders[folder];
      if (next == entries.size()) {
        const size_t done = folder;
        frames.pop_back();
        close(done);
        if (!frames.empty()) low_[frames.back().folder] = std::min(low_[frames.back().folder], low_[done]);
        continue;
      }
      const auto& entry = entries[next++];
      if (entry.folder < 0 || leads_up(static_cast<int64_t>(folder), entry)) continue;
      const auto to = static_cast<size_t>(entry.folder);
      if (order_[to] < 0) {
        begin(to);
      } else if (circle_[to] < 0) {
        low_[folder] = std::min(low_[folder], order_[to]);
      }
    }
  }

  void close(size_t folder) {
    if (low_[folder] != order_[folder]) return;
    size_t member = folder;
    do {
      member = open_.back();
      open_.pop_back();
      circle_[member] = static_cast<int64_t>(folder);
    } while (member != folder);
  }

  const FileTree& tree_;
  std::vector<int64_t> parent_, order_, low_, circle_;
  std::vector<size_t> open_;
  int64_t count_ = 0;
};

class Walk {
 public:
  explicit Walk(const FileTree& tree) : tree_(tree), circles_(tree), visited_(tree.folders.size()) {}

  TreeListing run() {
    enter(0, "", 0);
    in_circles_ = true;
    while (!waiting_.empty()) {  // in the order of paths; what they lead to may wait in turn
      const auto [path, link] = *waiting_.begin();
      waiting_.erase(waiting_.begin());
      if (visited_[static_cast<size_t>(link.folder)]) {
        listing_.loops.push_back(path);
      } else {
        enter(link.folder, path + "/", link.depth);
      }
    }
    std::sort(listing_.loops.begin(), listing_.loops.end());
    return std::move(listing_);
  }

 private:
  struct Link {
    int64_t folder, depth;
  };

  // Depth-first by a stack of our own: paths may be deeper than the program's.
  void enter(int64_t first, const std::string& first_path, int64_t first_depth) {
    struct Visit {
      int64_t folder, depth;
      std::string path;
    };
    std::vector<Visit> stack{{first, first_depth, first_path}};
    while (!stack.empty()) {
      const Visit visit = std::move(stack.back());
      stack.pop_back();
      SDG_CHECK(++visits_ <= kMostFolders, "links among folders: they make more than ", kMostFolders,
                " folders out of ", tree_.folders.size(), ", the last of them ", visit.path);
      visited_[static_cast<size_t>(visit.folder)] = true;
      for (const auto& entry : tree_.folders[static_cast<size_t>(visit.folder)]) {
        const std::string path = visit.path + entry.name;
        if (entry.folder < 0) {
          listing_.files.emplace_back(path, entry.file);
        } else if (in_circles_ && visited_[static_cast<size_t>(entry.folder)]) {
          if (entry.link) listing_.loops.push_back(path);
        } else if (!entry.link) {
          stack.push_back({entry.folder, visit.depth, path + "/"});
        } else if (visit.depth == kMostLinks) {
          listing_.loops.push_back(path);
        } else if (circles_.holds(visit.folder, entry)) {
          waiting_[path] = {entry.folder, visit.depth + 1};
        } else {
          stack.push_back({entry.folder, visit.depth + 1, path + "/"});
        }
      }
    }
  }

  const FileTree& tree_;
  Circles circles_;
  std::vector<bool> visited_;
  std::map<std::string, Link> waiting_;
  TreeListing listing_;
  int64_t visits_ = 0;
  bool in_circles_ = false;  // then only what was not listed before
};

}  // namespace

TreeListing list_files(const FileTree& tree) {
  SDG_CHECK(!tree.folders.empty(), "list_files: expected at least one folder");
  return Walk(tree).run();
}

}  // namespace sdg::io
