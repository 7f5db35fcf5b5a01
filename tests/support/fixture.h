#pragma once
// Parity fixtures: stored weights, inputs and outputs of public implementations (one safetensors file each).
// A test finds its files by the metadata `case`, rebuilds the model from the metadata `config`, and compares every
// `out.*`.
#include <nlohmann/json.hpp>

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sdg/tensors/tensor_file.h"

namespace sdg::test {

/// Where networks and inputs of fixtures lie: $SDG_TEST_DEVICE, or the CPU. Of the parity tests those of networks move
/// theirs there.
at::Device device();

class Fixture {
 public:
  explicit Fixture(const std::filesystem::path& path);

  std::string name;          ///< file name without suffix
  nlohmann::json config;     ///< metadata `config`
  nlohmann::json tolerance;  ///< metadata `tolerance`
  std::map<std::string, std::string> metadata;

  std::map<std::string, Tensor> weights() const;  ///< `w.*` as float32 (integers kept), without the prefix
  bool has(const std::string& name) const;        ///< full name, e.g. "in.y"
  Tensor in(const std::string& name) const;       ///< `in.<name>`
  Tensor out(const std::string& name) const;      ///< `out.<name>`
  std::vector<std::string> outputs() const;       ///< every `out.*`, without the prefix

  /// Compares with `out.<name>` under that output's own tolerance (abs(x - out) <= atol + rtol abs(out), `ignore`
  /// ranges left out), prints file, output, error, tolerance, and fails the current test where it is exceeded or shapes
  /// differ.
  void compare(const std::string& output, const Tensor& actual);
  /// Fails the current test for each `out.*` that was never compared and that `covered` (by name) does not excuse.
  void expect_all_compared(const std::function<bool(const std::string&)>& excused = {}) const;

 private:
  tensors::TensorFile file_;
  std::vector<std::string> compared_;
};

/// Every fixture whose metadata `case` is `wanted`, by name: those of tests/fixtures, and of ../shared/fixtures beside
/// the source folder those whose names are not there; or, instead of both, those of $SDG_FIXTURES. Where there is none
/// the test skips, saying so aloud:  for (auto& f : fixtures("dit_forward")) …
std::vector<Fixture> fixtures(const std::string& wanted);

/// Runs `body` for every fixture of the case; GTEST_SKIPs (and prints why) if there is none.
void for_each_fixture(const std::string& wanted, const std::function<void(Fixture&)>& body);

}  // namespace sdg::test
