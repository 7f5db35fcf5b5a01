#include "sdg/config/yaml.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include "keys_impl.h"
#include "parse_impl.h"
#include "sdg/config/find.h"
#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "text_impl.h"

namespace fs = std::filesystem;

namespace sdg::config {
namespace {

constexpr std::string_view kExtends = "extends";

struct Assignment {
  const Field* field;
  Value value;
};

std::string read_file(const fs::path& file) {
  constexpr uintmax_t kLargest = uintmax_t{4} << 20;  // far above any config: this is some other file
  std::error_code failure;
  SDG_CHECK_USAGE(!fs::is_directory(file, failure), file.string(), ": expected a config, got a folder");
  SDG_CHECK_USAGE(!fs::is_regular_file(file, failure) || fs::file_size(file, failure) <= kLargest, file.string(),
                  ": expected a config, got a file of more than ", kLargest >> 20, " MiB");
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  SDG_CHECK_USAGE(in && !in.bad(), file.string(), ": cannot be read");
  return text.str();
}

// yaml-cpp calls it an illegal map value, or looks for indentation elsewhere.
bool is_indented_with_tab(const std::string& text, int line) {
  std::istringstream lines(text);
  std::string found;
  for (int i = 0; i <= line; ++i) {
    if (!std::getline(lines, found)) return false;
  }
  return found.find('\t') < std::min(found.find_first_not_of(" \t"), found.size());
}

/// One config: its text as a tree, walked against the declared options.
class Document {
 public:
  Document(const Fields& fields, const std::string& text, std::string name) : fields_(fields), name_(std::move(name)) {
    try {
      root_ = parse_document(text);
    } catch (const YAML::Exception& error) {
      const bool tab = is_indented_with_tab(text, error.mark.line);
      fail(error.mark, cat("not YAML: ", tab ? "the line is indented with a tab, YAML takes only spaces" : error.msg));
    } catch (const std::exception& error) {
      throw UsageError(cat(name_, ": not YAML: ", error.what()));
    }
    const bool is_empty = !root_.IsDefined() || root_.IsNull();
    if (!is_empty && !root_.IsMap()) fail(root_.Mark(), cat("expected \"key: value\", got ", shown(root_)));
  }

  /// The config that this one extends, or "".
  std::string base() {
    if (!root_.IsMap()) return "";
    for (const auto& entry : root_) {
      if (!entry.first.IsScalar() || entry.first.Scalar() != kExtends) continue;
      extends_ = entry.first.Mark();
      if (!entry.second.IsScalar() || entry.second.Scalar().empty()) {
        fail(extends_, cat(kExtends, ": expected the name of one config, got ", shown(entry.second)));
      }
      return entry.second.Scalar();
    }
    return "";
  }

  /// Throws a message about the line of `extends`.
  [[noreturn]] void fail_extends(const std::string& message) const { fail(extends_, cat(kExtends, ": ", message)); }

  std::vector<Assignment> assignments() {
    std::vector<Assignment> out;
    if (root_.IsMap()) walk(root_, "", out);
    return out;
  }

 private:
  // `map` is read key by key in file order; lookups by key would hide the second of two equal keys.
  void walk(const YAML::Node& map, const std::string& prefix, std::vector<Assignment>& out) {
    for (const auto& entry : map) {
      const YAML::Mark mark = entry.first.Mark();
      if (!entry.first.IsScalar()) fail(mark, cat("expected the name of an option, got ", shown(entry.first)));
      const std::string path = prefix.empty() ? entry.first.Scalar() : cat(prefix, ".", entry.first.Scalar());
      const std::string key = cat(shown_key(path), ": ");
      const auto [first, is_new] = seen_.emplace(path, mark.line + 1);
      if (!is_new) fail(mark, cat(key, "repeated key; it stands on line ", first->second, " already"));
      if (path == kExtends) continue;
      if (fields_.find_group(path)) {
        if (entry.second.IsMap()) {
          walk(entry.second, path, out);
        } else if (!entry.second.IsNull()) {
          fail(mark, cat(key, group_needs_keys(fields_, path), ", got ", shown(entry.second)));
        }
        continue;
      }
      const Field* field = fields_.find(path);
      const KeyKind kind = entry.second.IsMap() ? KeyKind::kGroup : KeyKind::kOption;
      if (!field) fail(mark, cat(key, unknown_key(fields_, path, kind)));
      const Parsed parsed = parse(*field, entry.second);
      if (!parsed.problem.empty()) fail(mark, key + parsed.problem);
      out.push_back({field, parsed.value});
    }
  }

  static Parsed parse(const Field& field, const YAML::Node& node) {
    const bool takes_text =
        std::holds_alternative<std::string*>(field.slot) || std::holds_alternative<NamedSlot>(field.slot);
    const bool takes_list = std::holds_alternative<std::vector<int64_t>*>(field.slot);
    // yaml-cpp marks what stood in quotes with the tag "!"; such a scalar is text even if it looks like a number.
    if (node.IsScalar() && (takes_text || node.Tag() != "!")) return try_parse(field, node.Scalar());
    if (node.IsSequence() && takes_list) {
      std::vector<std::string> parts;
      for (const auto& part : node) parts.push_back(part.IsScalar() && part.Tag() != "!" ? part.Scalar() : shown(part));
      return try_parse(field, cat("[", joined(parts), "]"));
    }
    return {field.initial, cat("expected ", expected(field), ", got ", shown(node))};
  }

  static std::string shown(const YAML::Node& node) {
    if (node.IsMap()) return "a map";
    if (node.IsSequence()) return "a list";
    if (!node.IsScalar()) return "nothing";
    return in_quotes(node.Scalar());
  }

  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& message) const {
    throw UsageError(cat(name_, ":", std::max(mark.line, 0) + 1, ": ", message));
  }

  const Fields& fields_;
  std::string name_;
  YAML::Node root_;
  std::map<std::string, int> seen_;  // path -> line
  YAML::Mark extends_;
};

// One spelling for each file, so that a circle is noticed.
fs::path identity_of(const fs::path& file) {
  std::error_code failure;
  fs::path full = fs::weakly_canonical(file, failure);
  return failure ? file : full;
}

// Where `extends: name` points to; `folder` is that of the file, without a value for text that comes from no file.
fs::path find_base(const Document& document, const std::string& name, const std::optional<fs::path>& folder) {
  for (const auto& file : {name, name + ".yaml"}) {
    if (!folder) break;
    std::error_code failure;
    const fs::path beside = *folder / file;
    if (fs::exists(beside, failure) && !fs::is_directory(beside, failure)) return beside;
  }
  try {
    return find_config(name);
  } catch (const UsageError& error) {
    document.fail_extends(error.what());
  }
}

// Base before what extends it. `chain` holds the files from the first one asked for down to this one.
void collect(const Fields& fields, const std::string& text, const fs::path& file, std::vector<fs::path> chain,
             std::vector<Assignment>& out) {
  Document document(fields, text, file.string());
  if (const std::string base = document.base(); !base.empty()) {
    const auto folder = chain.empty() ? std::nullopt : std::optional(file.parent_path());
    const fs::path base_file = find_base(document, base, folder);
    chain.push_back(identity_of(base_file));
    if (std::count(chain.begin(), chain.end(), chain.back()) > 1) {
      std::vector<std::string> names(chain.size());
      std::transform(chain.begin(), chain.end(), names.begin(),
                     [](const auto& link) { return link.filename().string(); });
      document.fail_extends(cat("a config cannot extend itself: ", joined(names, " -> ")));
    }
    collect(fields, read_file(base_file), base_file, chain, out);
  }
  for (auto& assignment : document.assignments()) out.push_back(std::move(assignment));
}

void assign_all(const std::vector<Assignment>& assignments) {
  for (const auto& [field, value] : assignments) assign(*field, value);
}

}  // namespace

void read_yaml(const Fields& fields, const fs::path& file) {
  std::vector<Assignment> assignments;
  collect(fields, read_file(file), file, {identity_of(file)}, assignments);
  assign_all(assignments);
}

void read_yaml_text(const Fields& fields, const std::string& text, std::string_view name) {
  std::vector<Assignment> assignments;
  collect(fields, text, fs::path(name), {}, assignments);
  assign_all(assignments);
}

}  // namespace sdg::config
