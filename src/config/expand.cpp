#include <pwd.h>

#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "sdg/config/find.h"
#include "sdg/config/value.h"
#include "sdg/core/error.h"

namespace sdg::config {
namespace {

// The folder that "~" or "~name" at the front stands for.
std::string home_of(const std::string& user, const std::string& path) {
  const char* home = user.empty() ? std::getenv("HOME") : nullptr;
  if (home && *home) return home;
  const auto* entry = user.empty() ? nullptr : ::getpwnam(user.c_str());  // NOLINT(concurrency-mt-unsafe)
  SDG_CHECK_USAGE(entry, in_quotes(path),
                  user.empty() ? ": ~ is the folder of HOME, which is not set" : cat(": there is no user ", user));
  return entry->pw_dir;
}

bool is_name(char c, bool first) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

// Bytes of "$NAME" or "${NAME}" at the front; 0 where there is no variable. `name` is set.
size_t variable_at(std::string_view text, std::string& name) {
  const bool braces = text.starts_with("${");
  size_t end = braces ? 2 : 1;
  while (end < text.size() && is_name(text[end], end == (braces ? 2 : 1))) ++end;
  name = text.substr(braces ? 2 : 1, end - (braces ? 2 : 1));
  if (name.empty() || (braces && (end == text.size() || text[end] != '}'))) return 0;
  return braces ? end + 1 : end;
}

}  // namespace

std::string expand_path(const std::string& path) {
  std::error_code failure;
  if (path.empty() || std::filesystem::exists(path, failure)) return path;
  std::string out;
  std::string_view rest = path;
  if (rest.front() == '~') {
    const auto user = rest.substr(1, std::min(rest.find('/'), rest.size()) - 1);
    out = home_of(std::string(user), path);
    rest.remove_prefix(user.size() + 1);
  }
  while (!rest.empty()) {
    std::string name;
    const size_t length = rest.front() == '$' ? variable_at(rest, name) : 0;
    if (length == 0) {
      out += rest.front();
      rest.remove_prefix(1);
      continue;
    }
    const char* value = std::getenv(name.c_str());
    SDG_CHECK_USAGE(value, in_quotes(path), ": the environment variable ", name, " is not set");
    out += value;
    rest.remove_prefix(length);
  }
  return out;
}

}  // namespace sdg::config
