#pragma once
// Runs network_twin.py: the same network written a second time, in Python.
#include <cstdlib>
#include <filesystem>
#include <string>

#include "sdg/core/error.h"
#include "sdg/tensors/tensor_file.h"
#include "support/temporary_folder.h"

namespace sdg::test {

inline bool has_python() {
  return std::filesystem::exists(SDG_PYTHON);
}

/// `features` and `logits` of uint8 images.
inline std::map<std::string, Tensor> network_twin(const std::string& kind, const std::filesystem::path& weights,
                                                  const Tensor& images) {
  const TemporaryFolder folder;
  const auto in = folder / "in.safetensors", out = folder / "out.safetensors";
  tensors::write_tensors(in, {{{"images", images}}, {}});
  const std::string command = cat(SDG_PYTHON, " ", SDG_SOURCE_DIR, "/tests/vision/network_twin.py ", kind, " '",
                                  weights.string(), "' '", in.string(), "' '", out.string(), "'");
  SDG_CHECK(std::system(command.c_str()) == 0, "the Python twin failed: ", command);
  auto tensors = tensors::read_tensors(out).tensors;
  for (auto& [name, tensor] : tensors) tensor = tensor.clone();  // the file goes with the folder
  return tensors;
}

}  // namespace sdg::test
