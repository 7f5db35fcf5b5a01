#include "cli/sweep_input.h"

#include <algorithm>
#include <fstream>

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
  return fs::exists(text) ? std::vector{text} : parts_of({text});
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
