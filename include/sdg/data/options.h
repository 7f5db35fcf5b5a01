#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "sdg/config/fields.h"

namespace sdg::data {

/// What a path holds.
enum class Format { kAuto, kFolder, kTar, kTensors, kLatents, kImage };
constexpr auto names_of(Format) {
  return std::array{"auto", "folder", "tar", "tensors", "latents", "image"};
}

struct DataOptions {
  std::string path =
      "digits.safetensors";  ///< looked up beside the config, in the working folder, then among the shipped configs
  Format format = Format::kAuto;  ///< kAuto: by the name, or the first bytes
  std::string autoencoder;        ///< latents: what decodes them; empty: what their file names
  int64_t size = 8;               ///< side of the square images the model sees
  int64_t channels = 1;
  bool flip = false;
  int64_t threads = 1;
  int64_t cache_mb = 1024;
  double max_broken = 0.001;
  void visit(config::Fields& fields);
};
}  // namespace sdg::data
