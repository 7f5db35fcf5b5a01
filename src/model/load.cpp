#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/shape.h"
#include "sdg/core/text.h"
#include "sdg/model/catalog.h"

namespace sdg::model {
namespace {

bool matches(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return name == pattern || (pattern.ends_with('.') && name.starts_with(pattern));
  });
}

}  // namespace

int64_t parameter_count(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& parameter : module.parameters()) count += parameter.numel();
  return count;
}

void load_weights(torch::nn::Module& module, const std::map<std::string, Tensor>& tensors, const std::string& where,
                  const std::string& prefix, const std::vector<std::string>& ignored) {
  std::map<std::string, Tensor> targets;
  for (const auto& item : module.named_parameters()) targets.emplace(item.key(), item.value());
  for (const auto& item : module.named_buffers()) targets.emplace(item.key(), item.value());

  std::vector<std::string> missing, unexpected, misshapen;
  for (const auto& [name, target] : targets)
    if (!tensors.contains(prefix + name) && !matches(name, ignored)) missing.push_back(name);
  for (const auto& [full_name, tensor] : tensors) {
    if (!full_name.starts_with(prefix)) continue;
    const auto name = full_name.substr(prefix.size());
    if (matches(name, ignored)) continue;
    const auto target = targets.find(name);
    if (target == targets.end()) {
      unexpected.push_back(name);
    } else if (target->second.sizes() != tensor.sizes()) {
      misshapen.push_back(cat(name, " ", to_string(tensor.sizes()), " instead of ", to_string(target->second.sizes())));
    }
  }
  std::string complaint;
  if (!missing.empty()) complaint += cat("; missing: ", join_first(missing));
  if (!unexpected.empty()) complaint += cat("; unexpected: ", join_first(unexpected));
  if (!misshapen.empty()) complaint += cat("; misshapen: ", join_first(misshapen));
  SDG_CHECK(complaint.empty(), where, ": these weights do not fit the network", complaint);

  const at::NoGradGuard no_grad;
  for (auto& [name, target] : targets) {
    if (matches(name, ignored)) continue;
    const auto& source = tensors.at(prefix + name);
    check_finite(source, where, prefix + name);
    target.copy_(source);
  }
}

}  // namespace sdg::model
