#include "sdg/io/json_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "io/posix_impl.h"
#include "sdg/core/error.h"
#include "sdg/io/atomic_file.h"

namespace sdg::io {
namespace {
using nlohmann::json;

// Shortest text that reads back as the same double; whole numbers that a double holds exactly stay free of exponents.
std::string number_text(double value) {
  if (!std::isfinite(value)) return "null";
  std::array<char, 64> text{};
  const bool whole = std::abs(value) < 0x1p53 && value == std::trunc(value);
  const auto end = whole ? std::to_chars(text.begin(), text.end(), value, std::chars_format::fixed)
                         : std::to_chars(text.begin(), text.end(), value);
  return {text.data(), end.ptr};
}

std::string quoted(const std::string& text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

// A line is kept unless its step lies beyond. Lines that are not ours are none of our business.
bool keeps(const std::string& line, int64_t last_step) {
  if (last_step < 0) return true;
  const json row = json::parse(line, nullptr, /*allow_exceptions=*/false);
  const auto step = row.is_object() ? row.find("step") : row.end();
  return !row.is_object() || step == row.end() || !step->is_number_integer() || step->get<int64_t>() <= last_step;
}

struct Parts {
  std::string kept, cut;  // whole lines; a torn last line is in neither
};

Parts divide(const std::string& text, int64_t last_step) {
  Parts out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    const bool torn = end == std::string::npos && !json::accept(line);  // a crash in the middle of a line
    if (!torn) (keeps(line, last_step) ? out.kept : out.cut) += line + '\n';
    at = end == std::string::npos ? text.size() : end + 1;
  }
  return out;
}

void append(const std::filesystem::path& path, std::string_view text) {
  Descriptor descriptor(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (descriptor.get() < 0) throw_errno(path, "cannot write");
  while (!text.empty()) {  // one call as a rule, so that a line is whole or absent
    const ssize_t written = ::write(descriptor.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_errno(path, "cannot write");
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (::close(descriptor.release()) != 0) throw_errno(path, "cannot write");  // where network file systems say so
}

}  // namespace

JsonLines::JsonLines(std::filesystem::path path, int64_t keep_up_to_step) : path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) return;
  std::ifstream file(path_, std::ios::binary);
  SDG_CHECK(file.good(), path_.string(), ": cannot read");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto parts = divide(text, keep_up_to_step);
  if (!parts.cut.empty()) append(path_.string() + ".bak", parts.cut);
  if (parts.kept != text) write_atomically(path_, [&](std::ostream& out) { out << parts.kept; });
}

void JsonLines::write(int64_t step, const Row& row) {
  std::string line = "{\"step\":" + std::to_string(step);
  for (const auto& [name, value] : row) line += "," + quoted(name) + ":" + number_text(value);
  line += "}\n";
  append(path_, line);
}

bool JsonLines::holds(int64_t step, const std::string& name) const {
  std::ifstream file(path_, std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    const json row = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (row.is_object() && row.value("step", json()) == json(step) && row.contains(name)) return true;
  }
  return false;
}

}  // namespace sdg::io
