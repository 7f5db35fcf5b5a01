#include "sdg/vision/load_weights.h"

#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/shape.h"

namespace sdg::vision {

void load_weights(torch::nn::Module& module, const std::map<std::string, Tensor>& weights, const std::string& where,
                  const std::function<bool(const std::string&)>& optional) {
  torch::NoGradGuard no_grad;
  std::map<std::string, Tensor> targets;
  for (const auto& p : module.named_parameters()) targets[p.key()] = p.value();
  for (const auto& b : module.named_buffers()) targets[b.key()] = b.value();
  for (auto& [name, target] : targets) {
    const auto found = weights.find(name);
    if (found == weights.end()) {
      const bool may_be_absent = name.ends_with("num_batches_tracked") || (optional && optional(name));
      SDG_CHECK(may_be_absent, where, ": expected a tensor ", name, " ", to_string(target.sizes()), ", found none");
      continue;
    }
    SDG_CHECK(found->second.sizes() == target.sizes(), where, ": ", name, " must be ", to_string(target.sizes()),
              ", got ", to_string(found->second.sizes()));
    check_finite(found->second, where, name);
    target.copy_(found->second);
  }
  for (const auto& [name, tensor] : weights) {
    SDG_CHECK(targets.count(name), where, ": tensor ", name, " does not belong to this network (", targets.size(),
              " tensors expected, ", weights.size(), " found)");
  }
}

}  // namespace sdg::vision
