#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sdg/model/options.h"
#include "sdg/model/unet_trunk.h"
#include "sdg/model/velocity_model.h"
#include "sdg/nn/init.h"

namespace sdg::model {

/// One row of the preset table.
struct Preset {
  std::string name;    ///< "uvit-L/2", "dit-XL/2", "sit-B/4", "adm-256", "sg-unet-fast", …
  std::string family;  ///< uvit, dit, sit, adm or sg. dit and sit are one network, whose time sinusoid sees 1000 t in
                       ///< dit and t in sit.
  int64_t dim = 0;     ///< width of the tokens; U-Nets: of the first level
  int64_t depth = 0;   ///< blocks; U-Nets: residual blocks a level
  int64_t heads = 0;   ///< attention heads; 0 where their width is fixed instead
  int64_t patch = 1;
  nn::InitialValues initial_values = nn::InitialValues::kPublic;  ///< with model.init auto; this program's own networks
                                                                  ///< begin with kFanIn
  bool conv = true;                                               ///< uvit: 3x3 convolution at the end
  UNetOptions unet = {};                                          ///< adm, sg: the switches of the trunk
  bool context_attention = false;                                 ///< sg: the networks called unetca
};
const std::vector<Preset>& presets();
/// The row of that name; throws UsageError that names the nearest ones.
const Preset& find_preset(const std::string& name);

/// Builds the network with initial weights that are a function of (seed, parameter name). On the meta device no memory
/// is taken. U-ViT gets sgfm's token layout (the patch-level one for condition patch_vector).
std::shared_ptr<VelocityModel> build(const ModelOptions& options, const ModelShape& shape, uint64_t seed,
                                     const at::Device& device = at::kCPU);

/// Elements of all parameters, fixed ones included.
int64_t parameter_count(const torch::nn::Module& module);

/// Copies tensors into parameters and buffers of the same name (below `prefix`). Throws Error that lists missing,
/// unexpected and misshapen names. `ignored` names, or beginnings of names that end in a dot, are neither copied nor
/// missed.
void load_weights(torch::nn::Module& module, const std::map<std::string, Tensor>& tensors, const std::string& where,
                  const std::string& prefix = "", const std::vector<std::string>& ignored = {});

}  // namespace sdg::model
