#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sdg/model/options.h"
#include "sdg/model/velocity_model.h"

namespace sdg::model {

/// One row of the preset table.
struct Preset {
  std::string name;  ///< "uvit-L/2", "dit-XL/2", "sit-B/4", …
  std::string family;
  int64_t dim, depth, heads, patch;
};
const std::vector<Preset>& presets();

/// Builds the network with initial weights that are a function of (seed, parameter name). On the meta device no memory is taken.
std::shared_ptr<VelocityModel> build(const ModelOptions& options, const ModelShape& shape, uint64_t seed,
                                     const at::Device& device = at::kCPU);

int64_t parameter_count(const torch::nn::Module& module);

/// Copies tensors into parameters and buffers of the same name (below `prefix`). Throws Error that lists missing, unexpected and misshapen names.
void load_weights(torch::nn::Module& module, const std::map<std::string, Tensor>& tensors, const std::string& where,
                  const std::string& prefix = "");

}  // namespace sdg::model
