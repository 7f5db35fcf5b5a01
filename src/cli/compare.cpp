#include <algorithm>
#include <cstdio>
#include <fstream>

#include "cli/command.h"
#include "io/json_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/evaluate/protocol.h"

namespace sdg::cli {
namespace {

using nlohmann::ordered_json;

constexpr const char* kExamples =
    "  sdg compare a.json b.json                        files of sdg eval --save, one row each\n"
    "  sdg compare a.json b.json --force                although they were made by other protocols, which are marked\n";

struct Result {
  std::string path;
  ordered_json json;
  evaluate::Protocol protocol;
};

Result read_result(const std::string& path) {
  Result out{path, {}, {}};
  std::ifstream file(path);
  SDG_CHECK(file, path, ": cannot be read");
  out.json = ordered_json::parse(file, nullptr, /*allow_exceptions=*/false);
  const bool sound = out.json.is_object() && out.json.contains("protocol") && out.json["protocol"].is_object() &&
                     out.json.contains("metrics") && out.json["metrics"].is_object();
  SDG_CHECK(sound, path, ": expected a result of sdg eval (--save or --json), with metrics and their protocol");
  for (const auto& [field, value] : out.json["protocol"].items()) {
    SDG_CHECK(value.is_string(), path, ": the protocol's ", field, " must be text");
    out.protocol.emplace_back(field, value.get<std::string>());
  }
  for (const auto& [name, score] : out.json["metrics"].items())
    SDG_CHECK(score.is_object() && score.contains("value") && score["value"].is_number(), path, ": ", name,
              " has no value");
  const auto id = evaluate::protocol_id(out.protocol);
  SDG_CHECK(out.json.value("protocol_id", "") == id, path, ": its protocol was changed after it was written (",
            out.json.value("protocol_id", "no id"), ", its fields say ", id, ")");
  return out;
}

int execute(const std::vector<std::string>& paths, bool force) {
  std::vector<Result> results;
  for (const auto& path : paths) results.push_back(read_result(path));
  std::vector<std::vector<std::string>> differences;
  for (const auto& result : results) {
    differences.push_back(evaluate::protocol_differences(results.front().protocol, result.protocol));
    SDG_CHECK_USAGE(force || differences.back().empty(), result.path, ": made by another protocol than ",
                    results.front().path, ": ", join(differences.back(), "; "),
                    " (theirs first); --force shows them all the same, marked");
  }
  std::vector<std::string> names;
  for (const auto& result : results)
    for (const auto& [name, score] : result.json["metrics"].items())
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  std::string head = "| result | protocol |", rule = "| --- | --- |";
  for (const auto& name : names) {
    head += cat(" ", name, " |");
    rule += " ---: |";
  }
  std::printf("%s\n%s\n", head.c_str(), rule.c_str());
  for (size_t i = 0; i < results.size(); ++i) {
    std::string row = cat("| ", results[i].path, " | ", evaluate::protocol_id(results[i].protocol),
                          differences[i].empty() ? "" : " (other)", " |");
    for (const auto& name : names) {
      const auto& metrics = results[i].json["metrics"];
      char text[40] = "-";
      if (metrics.contains(name)) std::snprintf(text, sizeof text, "%.4f", metrics[name]["value"].get<double>());
      row += cat(" ", text, " |");
    }
    std::printf("%s\n", row.c_str());
  }
  for (size_t i = 0; i < results.size(); ++i)
    if (!differences[i].empty())
      std::printf("%s: other protocol: %s\n", results[i].path.c_str(), join(differences[i], "; ").c_str());
  return 0;
}

}  // namespace

Command compare_command() {
  return {"compare", "Results of sdg eval in one table; those of other protocols are refused.", kExamples,
          [](CLI::App& app) {
            auto paths = std::make_shared<std::vector<std::string>>();
            auto force = std::make_shared<bool>(false);
            app.add_option("results", *paths, "files of sdg eval --save")->required()->type_name("FILE.json");
            app.add_flag("--force", *force, "show results of other protocols too, and say where they differ");
            return [paths, force] { return execute(*paths, *force); };
          }};
}

}  // namespace sdg::cli
