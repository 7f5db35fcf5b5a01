#pragma once
// What the library says while the object lives.
#include <string>
#include <string_view>
#include <vector>

#include "sdg/core/log.h"

namespace sdg::test {

class LogCapture {
 public:
  LogCapture() {
    log::set_sink([this](log::Level, std::string_view line) { lines.emplace_back(line); });
  }
  ~LogCapture() { log::set_sink({}); }
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;
  std::vector<std::string> lines;
};

}  // namespace sdg::test
