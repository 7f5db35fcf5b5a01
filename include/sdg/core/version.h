#pragma once
#include <string>

namespace sdg {
/// "0.1.0"
std::string version();
/// Several lines: sdg, LibTorch, devices, CPU features and threads.
std::string version_report();
}  // namespace sdg
