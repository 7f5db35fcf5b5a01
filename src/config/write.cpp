#include "sdg/config/write.h"

#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "text_impl.h"

namespace sdg::config {
namespace {

// Words of `text` after `indent` and "# ", broken before column 100.
std::string comment(std::string_view text, const std::string& indent) {
  constexpr size_t kColumns = 100;
  std::string out, line;
  const auto flush = [&] {
    if (!line.empty()) out += cat(indent, "# ", line, "\n");
    line.clear();
  };
  std::istringstream words{std::string(text)};
  for (std::string word; words >> word;) {
    if (!line.empty() && indent.size() + 3 + line.size() + word.size() > kColumns) flush();
    line += line.empty() ? word : " " + word;
  }
  flush();
  return out;
}

std::string field_comment(const Field& field) {
  std::vector<std::string> facts;
  if (!field.doc.unit.empty()) facts.push_back(field.doc.unit);
  if (accepted(field) != "text") facts.push_back(accepted(field));
  if (is_changed(field)) facts.push_back("default " + to_text(field.initial));
  if (field.doc.resume != Resume::kFixed) facts.push_back("may change on resume");
  return facts.empty() ? field.doc.help : cat(field.doc.help, " (", joined(facts, "; "), ")");
}

class YamlWriter {
 public:
  YamlWriter(const Fields& fields, WriteStyle style) : fields_(fields), style_(style) {}

  // What stands below `parent`: its own options, then its groups.
  std::string below(std::string_view parent, const std::string& indent) const {
    std::string out;
    for (const auto& field : fields_.list()) {
      if (parent_of(field.path) != parent || (style_.only_changed && !is_changed(field))) continue;
      if (style_.without_later && field.doc.later && !is_changed(field)) continue;
      if (style_.comments) out += comment(field_comment(field), indent);
      out += cat(indent, leaf_of(field.path), ": ", to_text(current_value(field)), "\n");
    }
    for (const auto& group : fields_.groups()) {
      if (parent_of(group.path) != parent) continue;
      const std::string inner = below(group.path, indent + "  ");
      if (inner.empty()) continue;
      if (style_.comments && !out.empty()) out += '\n';
      if (style_.comments) out += comment(group.help, indent);
      out += cat(indent, leaf_of(group.path), ":\n", inner);
    }
    return out;
  }

 private:
  const Fields& fields_;
  WriteStyle style_;
};

// A table cell is one line, and | would end it.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

const char* resume_text(Resume resume) {
  switch (resume) {
    case Resume::kFree:
      return "free";
    case Resume::kSaid:
      return "said";
    case Resume::kFixed:
      break;
  }
  return "fixed";
}

std::string table(const Fields& fields, std::string_view parent) {
  std::string rows;
  for (const auto& field : fields.list()) {
    if (parent_of(field.path) != parent) continue;
    rows += cat("| `", field.path, "` | `", cell(to_text(field.initial)), "` | ", cell(field.doc.unit), " | ",
                cell(accepted(field)), " | ", resume_text(field.doc.resume), " | ", cell(field.doc.help), " |\n");
  }
  return rows.empty() ? ""
                      : cat("\n| key | default | unit | accepts | on resume | meaning |\n| --- | --- | --- | --- | --- "
                            "| --- |\n",
                            rows);
}

}  // namespace

std::string to_yaml(const Fields& fields, WriteStyle style) {
  return YamlWriter(fields, style).below("", "");
}

std::string to_markdown(const Fields& fields) {
  std::string out =
      "# Options\n\n"
      "Written from the declarations in the code; change it there.\n\n"
      "A config is a YAML file with these keys, nested (`train: {steps: 5}`) or dotted (`train.steps: 5`). What it "
      "leaves out keeps\n"
      "its default, `extends: other` takes over another config first, and `--set train.steps=5` on the command line "
      "has the last\n"
      "word. An unknown or repeated key, a wrong type or a value out of range stops the program before anything "
      "starts.\n\n"
      "A run that goes on (`sdg train --run` or `--resume`) takes the options of the new command as far as the column "
      "*on resume*\n"
      "allows: free ones at once; said ones too, with a line in the log and in the checkpoint's metadata (`changes`) "
      "of what changed\n"
      "after which step; a change of a fixed one is refused, because what is stored would mean something else.\n";
  out += table(fields, "");
  for (const auto& group : fields.groups()) {
    out += cat("\n## `", group.path, "`\n");
    if (!group.help.empty()) out += cat("\n", group.help, "\n");
    out += table(fields, group.path);
  }
  return out;
}

}  // namespace sdg::config
