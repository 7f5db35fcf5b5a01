#pragma once
#include <string>

namespace sdg {
/// "0.1.0"
std::string version();

/// The CUDA that LibTorch was built for, "13.0"; empty for a LibTorch without.
std::string cuda_version();
/// Several lines: sdg, LibTorch, devices, CPU features and threads.
std::string version_report();
}  // namespace sdg
