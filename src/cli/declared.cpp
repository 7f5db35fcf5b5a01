#include "cli/declared.h"

#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "sdg/recipe/run_config.h"

namespace sdg::cli {

const config::Field& declared(const std::string& path) {
  static recipe::RunConfig config;
  static const auto fields = config::Fields::of(config);
  const auto* field = fields.find(path);
  SDG_ASSERT(field, "no option ", path, " is declared");
  return *field;
}

config::Value parse_option(const std::string& flag, const config::Field& field, const std::string& text) {
  auto parsed = config::try_parse(field, text);
  SDG_CHECK_USAGE(parsed.problem.empty(), flag, ": ", parsed.problem);
  return std::move(parsed.value);
}

std::string option_help(const config::Field& field, const std::string& note) {
  std::string text = field.doc.help;
  const auto add = [&](const std::string& more) {
    if (more.empty()) return;
    if (!text.empty()) text += text.back() == '.' ? " " : "; ";
    text += more;
  };
  add(note);
  const bool any_text = std::holds_alternative<std::string*>(field.slot) && field.doc.choices.empty();
  if (!any_text) add(config::accepted(field));
  return text;
}

std::string option_type(const config::Field& field) {
  if (std::holds_alternative<int64_t*>(field.slot)) return "N";
  return std::holds_alternative<double*>(field.slot) ? "X" : "NAME";
}

std::vector<std::string> parts_of(const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (const auto& text : texts) {
    for (size_t begin = 0, comma = 0; comma != std::string::npos; begin = comma + 1) {
      comma = text.find(',', begin);
      parts.push_back(text.substr(begin, comma == std::string::npos ? comma : comma - begin));
    }
  }
  return parts;
}

std::string long_name(const std::string& flags) {
  const auto at = flags.find("--");
  const auto end = flags.find(',', at);
  return at == std::string::npos ? flags : flags.substr(at, end == std::string::npos ? end : end - at);
}

bool given(const CLI::App& app, const std::string& flag) {
  return app.count(flag) > 0;
}

void refuse(const CLI::App& app, const std::vector<std::string>& flags, const std::string& reason) {
  for (const auto& flag : flags) SDG_CHECK_USAGE(!given(app, flag), flag, ": ", reason);
}

}  // namespace sdg::cli
