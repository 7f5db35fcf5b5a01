#include "cli/sweep_input.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "cli/declared.h"
#include "cli/terminal.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/core/error.h"
#include "sdg/io/atomic_file.h"

namespace sdg::cli {

namespace fs = std::filesystem;

namespace {

// "dir,dir"; a folder or file whose own name holds a comma is one.
std::vector<std::string> places_of(const std::string& text) {
  if (fs::exists(text)) return {text};
  std::vector<std::string> places;
  std::stringstream list(text);
  for (std::string place; std::getline(list, place, ',');) places.push_back(place);
  return places;
}

}  // namespace

std::vector<NamedRun> named_runs(const std::vector<std::string>& texts) {
  std::vector<NamedRun> out;
  if (texts.empty()) {
    const auto newest = checkpoint::find_checkpoint("", "");
    out.push_back({checkpoint::RunFolder::of_checkpoint(newest).root().filename().string(), newest});
  }
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    const std::string label = equals == std::string::npos ? "" : text.substr(0, equals);
    for (const auto& place : places_of(equals == std::string::npos ? text : text.substr(equals + 1))) {
      SDG_CHECK_USAGE(!place.empty(), "--run: expected LABEL=DIR[,DIR…] or DIR, got \"", text, "\"");
      const bool file = fs::is_regular_file(place);
      const auto own = fs::path(place).filename().empty() ? fs::path(place).parent_path() : fs::path(place);
      out.push_back({label.empty() ? own.filename().string() : label,
                     checkpoint::find_checkpoint(file ? "" : place, file ? place : "")});
    }
  }
  return out;
}

namespace {

Interval interval_of(const std::string& text) {
  const auto colon = text.find(':');
  SDG_CHECK_USAGE(colon != std::string::npos, "--interval: expected BEGIN:END with 0 <= BEGIN <= END <= 1, got \"",
                  text, "\"");
  const auto part = [&](const char* path, const std::string& number) {
    return std::get<double>(parse_option("--interval", declared(path), number));
  };
  const auto begin = part("sample.guidance_begin", text.substr(0, colon));
  const auto end = part("sample.guidance_end", text.substr(colon + 1));
  SDG_CHECK_USAGE(begin <= end, "--interval: expected BEGIN:END with 0 <= BEGIN <= END <= 1, got \"", text, "\"");
  return {begin, end};
}

template <class T>
void add_once(std::vector<T>& list, const T& value) {
  if (std::find(list.begin(), list.end(), value) == list.end()) list.push_back(value);
}

}  // namespace

std::vector<Interval> intervals_of(const std::vector<std::string>& texts) {
  std::vector<Interval> out;
  for (const auto& text : texts) add_once(out, interval_of(text));
  return out;
}

Points::Points(fs::path path) : path_(std::move(path)) {
  std::ifstream in(path_);
  int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (in.eof()) break;  // without its end of line it was torn
    if (!study::is_measured(line)) {
      warn(cat(path_.string(), ":", number, ": a point that failed is left out"));
      continue;
    }
    rows_.push_back(study::parse_sweep_row(line, cat(path_.string(), ":", number)));
  }
  std::string whole;
  for (const auto& row : rows_) whole += to_json(row) + "\n";
  io::write_atomically(path_, [&](std::ostream& out) { out << whole; });
}

const study::SweepRow* Points::find(const study::SweepRow& point) const {
  const auto found =
      std::find_if(rows_.begin(), rows_.end(), [&](const auto& row) { return study::same_point(row, point); });
  return found == rows_.end() ? nullptr : &*found;
}

void Points::add(const study::SweepRow& row) {
  std::ofstream out(path_, std::ios::app);
  out << to_json(row) << "\n";
  out.flush();
  SDG_CHECK(out.good(), path_.string(), ": cannot write");
  rows_.push_back(row);
}

}  // namespace sdg::cli
