#pragma once
#include <CLI/CLI.hpp>
#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace sdg::cli {

// CLI11's pages, but what an option needs and excludes stands in the order of the alphabet: CLI11 keeps both by
// address, so that its order follows whatever the program allocated before.
class HelpFormat : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    auto out = CLI::Formatter::make_option_opts(option);
    if (!option->get_option_text().empty()) return out;
    const auto needs = named(get_label("Needs"), option->get_needs());
    const auto excludes = named(get_label("Excludes"), option->get_excludes());
    return out.substr(0, out.size() - needs.size() - excludes.size()) + needs + excludes;
  }

 private:
  static std::string named(const std::string& label, const std::set<CLI::Option*>& options) {
    if (options.empty()) return "";
    std::vector<std::string> names;
    for (const auto* each : options) names.push_back(each->get_name());
    std::sort(names.begin(), names.end());
    std::string out = " " + label + ":";
    for (const auto& name : names) out += " " + name;
    return out;
  }
};

}  // namespace sdg::cli
