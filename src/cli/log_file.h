#pragma once
// No LibTorch here: its bundled fmt and the system's spdlog cannot meet in one source file.
#include <string>
#include <string_view>

namespace sdg::cli {
/// Starts a log file with time stamps (appending); an empty path stops it.
void open_log_file(const std::string& path);
/// level: 0 debug, 1 info, 2 warning, 3 error.
void write_log_file(int level, std::string_view message);
}  // namespace sdg::cli
