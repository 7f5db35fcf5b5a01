#include "sdg/learn/module_optimizer.h"

#include <torch/csrc/autograd/autograd.h>

#include "sdg/core/error.h"

namespace sdg::learn {
namespace {

network::FlatParameters flattened(torch::nn::Module& module) {
  network::FlatParameters out;
  out.add("", module);
  out.build();
  return out;
}

recipe::TrainOptions adamw_options(const ModuleOptimizerOptions& options) {
  recipe::TrainOptions out;
  out.beta1 = options.beta1;
  out.beta2 = options.beta2;
  out.eps = options.eps;
  out.clip = options.clip_each ? 0 : options.clip;
  return out;
}

std::vector<ParameterGroup> groups_of(const std::vector<network::NamedRange>& ranges,
                                      const std::function<Treatment(const network::NamedRange&)>& treatment) {
  std::map<Treatment, ParameterGroup> groups;
  for (const auto& range : ranges) {
    const auto how = treatment(range);
    auto& group = groups.try_emplace(how, ParameterGroup{how.lr, how.weight_decay, {}}).first->second;
    group.parts.push_back({range.begin, range.end});
  }
  std::vector<ParameterGroup> out;
  for (auto& [how, group] : groups) out.push_back(std::move(group));
  return out;
}

}  // namespace

ModuleOptimizer::ModuleOptimizer(torch::nn::Module& module, const ModuleOptimizerOptions& options,
                                 const std::function<Treatment(const network::NamedRange&)>& treatment)
    : options_(options),
      parameters_(flattened(module)),
      adamw_(adamw_options(options), parameters_.values(), groups_of(parameters_.ranges(), treatment)) {}

Tensor ModuleOptimizer::gradient_of(const Tensor& loss) const {
  const auto& parameters = parameters_.parameters();
  auto gradients = torch::autograd::grad({loss}, parameters, {}, false, false, /*allow_unused=*/true);
  const at::NoGradGuard no_grad;
  std::vector<Tensor> pieces;
  for (size_t i = 0; i < parameters.size(); ++i) {
    auto piece = gradients[i].defined() ? gradients[i] : at::zeros_like(parameters[i]);
    if (options_.clip_each && options_.clip > 0) piece = clipped(piece, options_.clip);
    pieces.push_back(piece.reshape({-1}));
  }
  return at::cat(pieces);
}

void ModuleOptimizer::step(const Tensor& loss, double lr) {
  adamw_.step(parameters_.values(), gradient_of(loss), lr);
}

std::map<std::string, Tensor> ModuleOptimizer::state() const {
  return {{"optimizer.exp_avg", adamw_.exp_avg},
          {"optimizer.exp_avg_sq", adamw_.exp_avg_sq},
          {"optimizer.steps_done", adamw_.steps_done}};
}

void ModuleOptimizer::restore(const std::map<std::string, Tensor>& state, const std::string& where) {
  for (const auto& [name, tensor] : this->state()) copy_named(state, name, tensor, where);
}

Tensor clipped(const Tensor& gradient, double limit) {
  return gradient * (limit / (gradient.norm() + 1e-6)).clamp_max(1);
}

void copy_named(const std::map<std::string, Tensor>& from, const std::string& name, const Tensor& to,
                const std::string& where) {
  const at::NoGradGuard no_grad;
  const auto found = from.find(name);
  SDG_CHECK(found != from.end(), where, ": holds no ", name);
  SDG_CHECK(found->second.sizes() == to.sizes(), where, ": ", name, " must be ", to_string(to.sizes()), ", got ",
            to_string(found->second.sizes()));
  to.copy_(found->second);
}

}  // namespace sdg::learn
