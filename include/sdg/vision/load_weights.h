#pragma once
#include <torch/nn/module.h>

#include <functional>
#include <map>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::vision {
/// Copies `weights` into the module's parameters and buffers by name. A missing key is an Error unless `optional` says
/// otherwise (num_batches_tracked always may be), and so are unknown keys and wrong shapes.
void load_weights(torch::nn::Module& module, const std::map<std::string, Tensor>& weights, const std::string& where,
                  const std::function<bool(const std::string&)>& optional = {});
}  // namespace sdg::vision
