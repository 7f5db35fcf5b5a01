#include "sdg/study/tuned.h"

#include <fstream>

#include "io/json_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/utf8.h"
#include "sdg/io/atomic_file.h"

namespace sdg::study {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFormat = "sdg-sampling-1";

std::string inside(const std::string& path, const std::string& where) {
  const auto normal = fs::path(path).lexically_normal();
  SDG_CHECK(normal.is_relative() && (normal.empty() || *normal.begin() != ".."), where, ": ", path,
            " is not within the run's folder");
  return path;
}

}  // namespace

fs::path tuned_path(const fs::path& run) {
  return run / "sampling.json";
}

void write_tuned(const fs::path& run, const Tuned& tuned) {
  nlohmann::ordered_json json{{"format", kFormat},        {"step", tuned.step},   {"options", tuned.options},
                              {"average", tuned.average}, {"guide", tuned.guide}, {"found", tuned.found}};
  io::write_atomically(tuned_path(run), [&](std::ostream& out) { out << io::json_text(json, 2) << "\n"; });
}

std::optional<Tuned> read_tuned(const fs::path& run) {
  const auto path = tuned_path(run);
  std::ifstream file(path);
  if (!file) return std::nullopt;
  const auto where = path.string();
  try {
    const auto json = nlohmann::json::parse(file);
    SDG_CHECK(json.value("format", "") == kFormat, where, ": not written by sdg tune: no format ", kFormat);
    Tuned out;
    out.step = json.at("step");
    out.options = json.at("options").get<std::map<std::string, std::string>>();
    out.average = inside(from_utf8(json.at("average").get<std::string>()), where);
    out.guide = inside(from_utf8(json.at("guide").get<std::string>()), where);
    out.found = from_utf8(json.at("found").get<std::string>());
    return out;
  } catch (const nlohmann::json::exception& error) {
    throw Error(cat(where, ": malformed: ", error.what()));
  }
}

}  // namespace sdg::study
