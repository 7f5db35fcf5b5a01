#pragma once
#include <functional>
#include <string>
#include <string_view>

/// The library reports through one sink that the program sets; without a sink nothing is printed.
namespace sdg::log {
enum class Level { kDebug, kInfo, kWarning, kError };
using Sink = std::function<void(Level, std::string_view)>;

/// Replaces the sink (thread-safe); an empty one silences the library.
void set_sink(Sink sink);
void write(Level level, std::string_view message);
inline void info(std::string_view message) {
  write(Level::kInfo, message);
}
inline void warning(std::string_view message) {
  write(Level::kWarning, message);
}
}  // namespace sdg::log
