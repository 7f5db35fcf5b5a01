#pragma once
// Python peers in tests: scripts run by the interpreter the build was told of (SDG_PYTHON); tests skip where it lacks
// the modules.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "support/temporary_folder.h"

namespace sdg::test {

struct PythonResult {
  int status = -1;     ///< exit code
  std::string output;  ///< stdout and stderr
};

/// Runs `script` with `arguments` as sys.argv[1:]. The peer sees no GPU and one thread.
inline PythonResult run_python(const std::string& script, const std::vector<std::string>& arguments = {}) {
  const TemporaryFolder folder;
  write_text(folder / "script.py", script);
  std::string command = "CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 TF_CPP_MIN_LOG_LEVEL=3 '" SDG_PYTHON "' '" +
                        (folder / "script.py").string() + "'";
  for (const auto& argument : arguments) command += " '" + argument + "'";
  PythonResult result;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (!pipe) return result;
  char block[4096];
  for (size_t got = 0; (got = std::fread(block, 1, sizeof(block), pipe)) > 0;) result.output.append(block, got);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

/// "" where the interpreter has the packages ("numpy PIL"), else why not.
inline std::string python_lacks(const std::string& packages) {
  if (!std::filesystem::exists(SDG_PYTHON)) return "no Python at " SDG_PYTHON;
  const auto result = run_python(
      "import sys, importlib.util as u\n"
      "sys.exit(any(u.find_spec(p) is None for p in sys.argv[1].split()))",
      {packages});
  return result.status == 0 ? "" : "Python lacks one of: " + packages;
}

}  // namespace sdg::test

/// Skips the test aloud unless the Python peer has the packages.
#define SDG_NEEDS_PYTHON(packages)                                              \
  if (const auto lacks = ::sdg::test::python_lacks(packages); !lacks.empty()) { \
    std::cout << "SKIPPED: " << lacks << std::endl;                             \
    GTEST_SKIP() << lacks;                                                      \
  }                                                                             \
  static_assert(true)
