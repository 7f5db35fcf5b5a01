#include "cli/sample_options.h"

#include <algorithm>
#include <array>

#include "cli/declared.h"
#include "sdg/core/error.h"

namespace sdg::cli {
namespace {

constexpr const char* kInterval = "--guidance-interval";

std::string path_of(const std::string& name) {
  return "sample." + name;
}

std::string spelling(const std::string& name) {
  std::string flag = "--" + name;
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

bool is_interval(const std::string& name) {
  return name == "guidance_begin" || name == "guidance_end";
}

config::Value read(const std::string& flag, const std::string& path, const std::string& text) {
  const bool other_name = path == "sample.solver" && text == "heun2";
  return parse_option(flag, declared(path), other_name ? "heun" : text);
}

// The declared options in their order.
std::vector<config::Field> fields_of_sample() {
  static sample::SampleOptions options;
  return config::Fields::of(options).list();
}

void declare_interval(CLI::App& app, SampleValues& given) {
  app.add_option_function<std::vector<std::string>>(
         kInterval,
         [&given](const std::vector<std::string>& texts) {
           given["guidance_begin"] = read(kInterval, "sample.guidance_begin", texts.at(0));
           given["guidance_end"] = read(kInterval, "sample.guidance_end", texts.at(1));
         },
         "two times between which guidance acts (0 noise, 1 image); elsewhere w is 1. Default: the run's, mostly 0 1")
      ->type_name("BEGIN END")
      ->expected(2);
}

SampleValues interval_of(const std::string& text) {
  const auto colon = text.find(':');
  SDG_CHECK_USAGE(colon != std::string::npos, "--interval: expected BEGIN:END with 0 <= BEGIN <= END <= 1, got \"",
                  text, "\"");
  SampleValues out{{"guidance_begin", read("--interval", "sample.guidance_begin", text.substr(0, colon))},
                   {"guidance_end", read("--interval", "sample.guidance_end", text.substr(colon + 1))}};
  SDG_CHECK_USAGE(std::get<double>(out["guidance_begin"]) <= std::get<double>(out["guidance_end"]),
                  "--interval: expected BEGIN:END with 0 <= BEGIN <= END <= 1, got \"", text, "\"");
  return out;
}

// A table has a column for each guidance and a chart a point for each number of steps: these vary fastest, and seeds,
// which are repetitions, before all.
int nesting(const std::string& name) {
  constexpr std::array kInner{"steps", "guidance_begin", "guidance", "seed"};
  const auto found = std::find(kInner.begin(), kInner.end(), name);
  return static_cast<int>(found == kInner.end() ? 0 : found - kInner.begin() + 1);
}

}  // namespace

std::string sample_flag(const std::string& name) {
  return is_interval(name) ? kInterval : spelling(name);
}

std::vector<std::string> sample_flags() {
  std::vector<std::string> out;
  for (const auto& field : fields_of_sample()) {
    const auto flag = sample_flag(field.path);
    if (std::find(out.begin(), out.end(), flag) == out.end()) out.push_back(flag);
  }
  return out;
}

void declare_sample(CLI::App& app, SampleValues& given, const std::string& count,
                    const std::set<std::string>& without) {
  for (const auto& each : fields_of_sample()) {
    const auto name = each.path;
    if (without.contains(name)) continue;
    if (is_interval(name)) {
      if (name == "guidance_begin") declare_interval(app, given);
      continue;
    }
    const auto flag = sample_flag(name), path = name == "count" ? count : path_of(name);
    app.add_option_function<std::string>(
           flag, [&given, flag, path, name](const std::string& text) { given[name] = read(flag, path, text); },
           option_help(declared(path), cat("Default: the run's ", path, ".")))
        ->type_name(name == "guidance" ? "W" : option_type(each));
  }
}

void lay_over(sample::SampleOptions& options, const SampleValues& given) {
  const auto fields = config::Fields::of(options);
  for (const auto& [name, value] : given) config::assign(*fields.find(name), value);
}

void declare_sample_lists(CLI::App& app, std::vector<SampleAxis>& axes) {
  auto fields = fields_of_sample();
  std::erase_if(fields, [](const config::Field& field) {
    return field.doc.only_speed || field.path == "count" || field.path == "guidance_end";
  });
  std::stable_sort(fields.begin(), fields.end(),
                   [](const auto& a, const auto& b) { return nesting(a.path) < nesting(b.path); });
  axes.resize(fields.size());  // first: the flags below hold on to their places
  for (size_t i = 0; i < fields.size(); ++i) {
    const auto name = fields[i].path, flag = spelling(name);
    const bool interval = is_interval(name);
    axes[i].names = interval ? std::vector<std::string>{"guidance_begin", "guidance_end"} : std::vector{name};
    const auto store = [axis = &axes[i], name, flag, interval](const std::vector<std::string>& texts) {
      // A list of times has commas of its own: each is an argument.
      for (const auto& text : name == "times" ? texts : parts_of(texts)) {
        auto values = interval ? interval_of(text) : SampleValues{{name, read(flag, path_of(name), text)}};
        if (std::find(axis->values.begin(), axis->values.end(), values) == axis->values.end())
          axis->values.push_back(std::move(values));
      }
    };
    if (interval) {
      app.add_option_function<std::vector<std::string>>("--interval", store,
                                                        "times between which guidance acts, e.g. 0:1,0.3:1")
          ->type_name("B:E,...");
      continue;
    }
    const auto& field = declared(path_of(name));
    app.add_option_function<std::vector<std::string>>(
           flag, store,
           option_help(field, cat(name == "times" ? "Several one after the other" : "Several with commas",
                                  "; default: the run's ", field.path, ".")))
        ->type_name(option_type(field) + ",...");
  }
}

}  // namespace sdg::cli
