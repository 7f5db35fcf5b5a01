#include <cstdio>

#include "cli/command.h"
#include "cli/declared.h"
#include "sdg/config/find.h"
#include "sdg/config/write.h"
#include "sdg/core/error.h"
#include "sdg/recipe/run_config.h"

namespace sdg::cli {
namespace {

struct Arguments {
  std::string name = "digits.yaml";
  std::vector<std::string> set;
  bool list = false, markdown = false, comments = false, help_options = false;
};

constexpr const char* kExamples =
    "  sdg config imagenet256.yaml                      every option with its value\n"
    "  sdg config --help-options                        every option with its meaning\n"
    "  sdg config --list                                the shipped configs and what was measured with them\n"
    "  sdg config --markdown > docs/config.md\n";

int execute(const Arguments& arguments) {
  if (arguments.list) {
    for (const auto& name : config::shipped_configs()) {
      const auto [what, measured] = config::config_summary(config::find_config(name));
      std::printf("%-18s %s\n", name.c_str(), what.c_str());
      if (!measured.empty()) std::printf("%-18s   measured: %s\n", "", measured.c_str());
    }
    return 0;
  }
  if (arguments.markdown || arguments.help_options) {
    recipe::RunConfig defaults;
    const auto fields = config::Fields::of(defaults);
    const auto text = arguments.markdown ? config::to_markdown(fields) : config::to_yaml(fields, {.comments = true});
    std::printf("%s", text.c_str());
    return 0;
  }
  auto resolved = recipe::load_config(arguments.name, arguments.set);
  std::printf("%s", config::to_yaml(config::Fields::of(resolved), {.comments = arguments.comments}).c_str());
  return 0;
}

}  // namespace

Command config_command() {
  return {
      "config", "Print a configuration as it is understood, or what the options mean.", kExamples, [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        app.add_option("name", arguments->name, "config file, or the name of a shipped one")->type_name("FILE|NAME");
        app.add_option("--set", arguments->set, "override one option (repeatable)")
            ->type_name("KEY=VALUE")
            ->expected(1)
            ->take_all();
        app.add_flag("--comments", arguments->comments, "with each option's meaning above it");
        app.add_flag("--help-options", arguments->help_options, "every option: default, unit, range, meaning");
        app.add_flag("--list", arguments->list,
                     "list the shipped configs: what each is, and what was measured with it");
        app.add_flag("--markdown", arguments->markdown, "the options as a Markdown page");
        return [arguments, &app] {
          const bool of_one = !(arguments->list || arguments->markdown || arguments->help_options);
          if (!of_one) refuse(app, {"name", "--set", "--comments"}, "says how to print one configuration");
          SDG_CHECK_USAGE(arguments->list + arguments->markdown + arguments->help_options <= 1,
                          "--list, --markdown and --help-options: name one of them");
          return execute(*arguments);
        };
      }};
}

}  // namespace sdg::cli
