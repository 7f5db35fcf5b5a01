#include "sdg/io/tar_index.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>

#include "io/tar_records_impl.h"
#include "sdg/core/error.h"
#include "sdg/io/file_tree.h"

namespace sdg::io {
namespace {

constexpr size_t kLongestName = 4095;  // bytes; a system takes no longer path
constexpr int kMostLinks = 40;         // symbolic links in one path; Linux follows no more

using Parts = std::vector<std::string>;

// "/a//./b" → a, b. A leading "/" is cut off, and so is everything up to the last "..", as GNU tar does when it writes:
// "a/b/../c" → c.
Parts safe_parts(std::string_view name) {
  Parts parts;
  while (!name.empty()) {
    const auto slash = std::min(name.find('/'), name.size());
    const auto part = name.substr(0, slash);
    if (part == "..") {
      parts.clear();
    } else if (!part.empty() && part != ".") {
      parts.emplace_back(part);
    }
    name.remove_prefix(std::min(slash + 1, name.size()));
  }
  return parts;
}

bool has_dot_dot(std::string_view path) {
  return cat("/", path, "/").find("/../") != std::string::npos;
}

/// The files and folders that extracting would make.
class Extraction {
 public:
  void take(const TarRecord& record) {
    const auto refusal = place(record);
    if (!refusal.empty()) left_out_.push_back(cat(record.name, " (", refusal, ")"));
  }

  TarIndex result() {
    FileTree tree;
    tree.folders.resize(nodes_.size());  // those of nodes that are no folders stay empty and unreached
    list(tree);
    const auto listing = list_files(tree);
    TarIndex index;
    for (const auto& [path, file] : listing.files) {
      const auto& node = nodes_[static_cast<size_t>(file)];
      index.files.push_back({path, node.offset, node.size});
    }
    std::sort(index.files.begin(), index.files.end(), [](const TarEntry& a, const TarEntry& b) {
      return std::tie(a.offset, a.name) < std::tie(b.offset, b.name);
    });
    for (const auto& path : listing.loops) left_out_.push_back(path + " (a symbolic link that leads back to itself)");
    index.left_out = std::move(left_out_);
    return index;
  }

 private:
  enum class Kind { kFolder, kFile, kLink };
  struct Node {
    Kind kind = Kind::kFolder;
    std::map<std::string, int64_t> inside{};  // of a folder
    int64_t parent = 0;                       // of a folder; the first is its own
    std::string name{};                       // of a folder
    std::string target{};                     // of a symbolic link
    uint64_t offset = 0, size = 0;            // of a file
  };

  Node& node(int64_t id) { return nodes_[static_cast<size_t>(id)]; }
  int64_t add(Node made) {
    nodes_.push_back(std::move(made));
    return static_cast<int64_t>(nodes_.size()) - 1;
  }

  // Empty, or why the entry is left out.
  std::string place(const TarRecord& record) {
    if (record.type == 'V' || record.type == 'M') return "";  // the archive's own name, a part of a file before it
    if (record.name.size() > kLongestName) return "its name is too long";
    Parts parts = safe_parts(record.name);
    // Old tars mark folders by the slash.
    if (record.type == '5' || record.type == 'D' || (record.is_file() && record.name.ends_with('/')))
      return make_folder(parts);
    if (record.sparse) return "a sparse file";
    if (record.type == '3' || record.type == '4') return "a device";
    if (record.type == '6') return "a pipe";
    if (parts.empty()) return "it has no name";
    if (record.type == '2') return put(parts, add({.kind = Kind::kLink, .target = record.link}));
    if (record.type == '1') return put_hard_link(parts, record.link);
    return put(parts, add({.kind = Kind::kFile, .offset = record.offset, .size = record.size}));
  }

  std::string make_folder(const Parts& parts) {
    if (parts.empty()) return "";
    const auto parent = make_parent(parts);
    if (!parent) return "its folder cannot be made";
    open_folder(*parent, parts.back());
    return "";
  }

  std::string put_hard_link(const Parts& parts, const std::string& link) {
    const Parts to = safe_parts(link);
    std::optional<int64_t> folder = to.empty() ? std::nullopt : std::optional<int64_t>(0);
    int links = 0;
    for (size_t i = 0; folder && i + 1 < to.size(); ++i) folder = follow(*folder, to[i], links);
    if (!folder || node(*folder).kind != Kind::kFolder || !node(*folder).inside.contains(to.back()))
      return cat("a hard link to ", link, ", which does not stand before it in the archive");
    const int64_t target = node(*folder).inside.at(to.back());
    return node(target).kind == Kind::kFolder ? cat("a hard link to the folder ", link) : put(parts, target);
  }

  std::string put(const Parts& parts, int64_t id) {
    const auto parent = make_parent(parts);
    if (!parent) return "its folder cannot be made";
    const auto [at, is_new] = node(*parent).inside.try_emplace(parts.back(), id);
    if (is_new) return "";
    if (const auto& old = node(at->second); old.kind == Kind::kFolder && !old.inside.empty())
      return "a folder stands in its place";
    at->second = id;
    return "";
  }

  // The folder that the last part goes into, made where it is missing. A symbolic link on the way is passed if it could
  // not lead out: GNU tar makes the others only in the end.
  std::optional<int64_t> make_parent(const Parts& parts) {
    int64_t at = 0;
    int links = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = node(at).inside.find(parts[i]);
      if (found == node(at).inside.end()) {
        at = open_folder(at, parts[i]);
        continue;
      }
      const auto& child = node(found->second);
      if (child.kind == Kind::kLink && (child.target.starts_with('/') || has_dot_dot(child.target))) return {};
      const auto next = follow(at, parts[i], links);
      if (!next || node(*next).kind != Kind::kFolder) return {};
      at = *next;
    }
    return at;
  }

  // The folder of that name, made if need be: a link in its place gives way, a file too.
  int64_t open_folder(int64_t parent, const std::string& name) {
    const auto found = node(parent).inside.find(name);
    if (found != node(parent).inside.end() && node(found->second).kind == Kind::kFolder) return found->second;
    const int64_t made = add({.parent = parent, .name = name});
    node(parent).inside[name] = made;
    return made;
  }

  // Where `path` leads from a folder, through symbolic links; nothing where that is nowhere or out of the archive.
  std::optional<int64_t> follow(int64_t folder, const std::string& path, int& links) {
    if (path.starts_with('/')) return {};
    std::optional<int64_t> at = folder;
    for (size_t begin = 0; at && begin <= path.size();) {
      const size_t end = std::min(path.find('/', begin), path.size());
      at = step(*at, path.substr(begin, end - begin), links);
      begin = end + 1;
    }
    return at;
  }
  std::optional<int64_t> step(int64_t at, const std::string& part, int& links) {
    if (node(at).kind != Kind::kFolder) return {};
    if (part.empty() || part == ".") return at;
    if (part == "..") return at == 0 ? std::nullopt : std::optional(node(at).parent);
    const auto found = node(at).inside.find(part);
    if (found == node(at).inside.end()) return {};
    const int64_t child = found->second;
    if (node(child).kind != Kind::kLink) return child;
    if (++links > kMostLinks) return {};
    return follow(at, std::string(node(child).target), links);
  }

  // Entries of all folders, reached or not, with the symbolic links resolved.
  void list(FileTree& tree) {
    const auto count = static_cast<int64_t>(nodes_.size());
    for (int64_t id = 0; id < count; ++id) {
      if (node(id).kind != Kind::kFolder) continue;  // one that gave way to something else was empty
      auto& entries = tree.folders[static_cast<size_t>(id)];
      for (const auto& [name, child] : node(id).inside) {
        const bool link = node(child).kind == Kind::kLink;
        int links = 0;
        const auto to = link ? step(id, name, links) : std::optional(child);
        if (!to) {
          left_out_.push_back(
              cat(path_of(id), name, " (a symbolic link to ", node(child).target, ", ", why_not(child), ")"));
        } else if (node(*to).kind == Kind::kFolder) {
          entries.push_back({name, *to, 0, link});
        } else {
          entries.push_back({name, -1, *to, link});
        }
      }
    }
  }
  const char* why_not(int64_t link) {
    const auto& target = node(link).target;
    const bool out = target.starts_with('/') || target.empty();
    return out || has_dot_dot(target) ? "out of the archive or not in it" : "not in the archive";
  }
  std::string path_of(int64_t folder) {
    std::string path;
    for (; folder != 0; folder = node(folder).parent) path = node(folder).name + "/" + path;
    return path;
  }

  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::vector<std::string> left_out_;
};

}  // namespace

TarIndex index_tar(const std::filesystem::path& path) {
  const RandomAccessFile file(path);
  Extraction extraction;
  for (const auto& record : read_tar_records(file)) extraction.take(record);
  return extraction.result();
}

}  // namespace sdg::io
