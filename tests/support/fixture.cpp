#include "support/fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <limits>
#include <optional>

#include "sdg/core/device.h"
#include "sdg/core/error.h"

namespace sdg::test {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

// A name counts once: what an earlier folder holds hides what a later one calls alike.
std::vector<fs::path> fixture_folders() {
  if (const char* asked = std::getenv("SDG_FIXTURES"); asked && *asked) {
    SDG_CHECK(fs::is_directory(asked), "SDG_FIXTURES: no such folder: ", asked);
    return {asked};
  }
  const fs::path source = SDG_SOURCE_DIR;
  return {source / "tests" / "fixtures", source / ".." / "shared" / "fixtures"};
}

std::vector<fs::path> files_of_case(const std::string& wanted) {
  std::map<std::string, fs::path> files;  // by name
  for (const auto& folder : fixture_folders()) {
    if (!fs::is_directory(folder)) continue;
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().extension() == ".safetensors") files.emplace(entry.path().filename().string(), entry.path());
    }
  }
  std::vector<fs::path> out;
  for (const auto& [name, path] : files) {
    const auto metadata = tensors::read_tensor_header(path).metadata;
    const auto found = metadata.find("case");
    if (found != metadata.end() && found->second == wanted) out.push_back(path);
  }
  return out;
}

void skip_aloud(const std::string& wanted) {  // GTEST_SKIP needs a function that returns nothing
  std::string reason = cat("no fixture of case ", wanted, " in");
  for (const auto& folder : fixture_folders()) reason += ' ' + folder.lexically_normal().string();
  std::cout << "SKIPPED: " << reason << std::endl;
  GTEST_SKIP() << reason;
}

json parse_or_null(const std::map<std::string, std::string>& metadata, const std::string& key,
                   const std::string& where) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return nullptr;
  try {
    return json::parse(found->second);
  } catch (const json::exception& error) {
    throw Error(cat(where, ": metadata ", key, ": ", error.what()));
  }
}

struct Tolerance {
  double atol = 0, rtol = 0;
  std::vector<std::pair<int64_t, int64_t>> ignore;  // flat [start, end)
};

// Whole numbers and bools compare exactly, whatever the file says; a float output without an entry has no verdict.
std::optional<Tolerance> tolerance_of(const json& all, const std::string& output, bool exact) {
  const auto found = all.is_object() ? all.find(output) : all.end();
  if (!all.is_object() || found == all.end()) return exact ? std::optional<Tolerance>(Tolerance{}) : std::nullopt;
  Tolerance out;
  if (!exact) {
    out.atol = found->at("atol").get<double>();
    out.rtol = found->at("rtol").get<double>();
  }
  if (found->contains("ignore")) out.ignore = found->at("ignore").get<decltype(out.ignore)>();
  return out;
}

bool is_whole(const Tensor& x) {
  return at::isIntegralType(x.scalar_type(), /*includeBool=*/true);
}

struct Difference {
  double max_abs = 0, max_rel = 0;
  int64_t elements = 0, exceeding = 0;
  int64_t worst = -1;  // flat index of the largest excess over the tolerance
};

// T is double, or int64_t where both sides are whole numbers (doubles are not exact beyond 2^53).
template <class T>
Difference differ(const Tensor& actual, const Tensor& expected, const Tolerance& tolerance) {
  const auto dtype = c10::CppTypeToScalarType<T>::value;
  const Tensor a = actual.to(dtype).contiguous(), e = expected.to(dtype).contiguous();
  const T *x = a.const_data_ptr<T>(), *y = e.const_data_ptr<T>();
  std::vector<bool> ignored(static_cast<size_t>(e.numel()));
  for (const auto& [start, end] : tolerance.ignore) {
    for (int64_t i = std::max<int64_t>(start, 0); i < std::min(end, e.numel()); ++i) ignored[i] = true;
  }
  Difference out;
  double worst = 0;
  for (int64_t i = 0; i < e.numel(); ++i) {
    if (ignored[i]) continue;
    ++out.elements;
    const double wanted = static_cast<double>(y[i]);
    const bool same = x[i] == y[i] || (std::isnan(wanted) && std::isnan(static_cast<double>(x[i])));
    double error = same ? 0 : std::abs(static_cast<double>(x[i]) - wanted);
    if (!same && (error == 0 || std::isnan(error))) error = std::numeric_limits<double>::infinity();
    const double excess = error - (tolerance.atol + tolerance.rtol * std::abs(wanted));
    out.max_abs = std::max(out.max_abs, error);
    if (wanted != 0 && !same) out.max_rel = std::max(out.max_rel, error / std::abs(wanted));
    if (!same && !(excess <= 0)) {
      ++out.exceeding;
      if (out.worst < 0 || excess > worst) out.worst = i, worst = excess;
    }
  }
  return out;
}

void append_to_parity_log(const json& row) {
  const char* path = std::getenv("SDG_PARITY_LOG");
  if (!path || !*path) return;
  std::ofstream log(path, std::ios::app);
  log << row.dump() << '\n';
  SDG_CHECK(log.flush().good(), "SDG_PARITY_LOG: cannot write ", path);
}

}  // namespace

at::Device device() {
  const char* asked = std::getenv("SDG_TEST_DEVICE");
  return parse_device(asked && *asked ? asked : "cpu");
}

Fixture::Fixture(const fs::path& path) : name(path.stem().string()), file_(tensors::read_tensors(path)) {
  metadata = file_.metadata;
  config = parse_or_null(metadata, "config", path.string());
  tolerance = parse_or_null(metadata, "tolerance", path.string());
}

// Weights and inputs are copies: what a test does to them in place must not reach its next look at the fixture.
std::map<std::string, Tensor> Fixture::weights() const {
  std::map<std::string, Tensor> out;
  for (const auto& [key, tensor] : file_.tensors) {
    if (!key.starts_with("w.")) continue;
    out[key.substr(2)] =
        tensor.to(device(), tensor.is_floating_point() ? at::kFloat : tensor.scalar_type(), false, true);
  }
  return out;
}

bool Fixture::has(const std::string& full_name) const {
  return file_.tensors.contains(full_name);
}
Tensor Fixture::in(const std::string& input) const {
  return file_.at("in." + input, name).to(device(), false, true);
}
Tensor Fixture::out(const std::string& output) const {
  return file_.at("out." + output, name);
}

std::vector<std::string> Fixture::outputs() const {
  std::vector<std::string> out;
  for (const auto& [key, tensor] : file_.tensors) {
    if (key.starts_with("out.")) out.push_back(key.substr(4));
  }
  return out;
}

void Fixture::compare(const std::string& output, const Tensor& on_device) {
  const Tensor actual = on_device.defined() ? on_device.cpu() : on_device;
  const Tensor expected = out(output);
  compared_.push_back(output);
  const std::string where = cat(name, " ", output);
  const auto allowed = tolerance_of(tolerance, output, is_whole(expected));
  if (!allowed) {
    ADD_FAILURE() << where << ": the fixture states no tolerance for this output";
    return;
  }
  if (!actual.defined() || actual.sizes() != expected.sizes()) {
    ADD_FAILURE() << where << ": must be " << to_string(expected.sizes()) << ", got "
                  << (actual.defined() ? to_string(actual.sizes()) : "an undefined tensor");
    return;
  }
  const Tensor ours = actual.detach().to(at::kCPU);
  const bool whole = is_whole(expected) && is_whole(ours);
  const auto found = whole ? differ<int64_t>(ours, expected, *allowed) : differ<double>(ours, expected, *allowed);
  std::cout << cat("parity ", where, " max_abs=", found.max_abs, " max_rel=", found.max_rel, " atol=", allowed->atol,
                   " rtol=", allowed->rtol, " n=", found.elements)
            << std::endl;
  append_to_parity_log({{"fixture", name},
                        {"output", output},
                        {"max_abs", found.max_abs},
                        {"max_rel", found.max_rel},
                        {"atol", allowed->atol},
                        {"rtol", allowed->rtol},
                        {"elements", found.elements}});
  if (found.exceeding > 0) {
    const auto at_worst = [&](const Tensor& x) { return x.reshape(-1)[found.worst].to(at::kDouble).item<double>(); };
    ADD_FAILURE() << where << ": " << found.exceeding << " of " << found.elements
                  << " elements exceed the tolerance; worst at flat index " << found.worst << ": expected "
                  << at_worst(expected) << ", got " << at_worst(ours) << " (atol " << allowed->atol << ", rtol "
                  << allowed->rtol << ")";
  }
}

void Fixture::expect_all_compared(const std::function<bool(const std::string&)>& excused) const {
  for (const auto& output : outputs()) {
    if (std::find(compared_.begin(), compared_.end(), output) != compared_.end()) continue;
    if (!excused || !excused(output)) ADD_FAILURE() << name << " " << output << ": never compared";
  }
}

std::vector<Fixture> fixtures(const std::string& wanted) {
  std::vector<Fixture> out;
  for (const auto& path : files_of_case(wanted)) out.emplace_back(path);
  if (out.empty()) skip_aloud(wanted);
  return out;
}

void for_each_fixture(const std::string& wanted, const std::function<void(Fixture&)>& body) {
  for (auto& fixture : fixtures(wanted)) {
    SCOPED_TRACE(fixture.name);
    try {
      body(fixture);
    } catch (const std::exception& error) {  // the other fixtures of the case still run
      ADD_FAILURE() << fixture.name << ": threw: " << error.what();
    }
  }
}

}  // namespace sdg::test
