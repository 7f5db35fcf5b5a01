#include "sdg/network/flat_parameters.h"

#include "sdg/core/error.h"

namespace sdg::network {

void FlatParameters::add(const std::string& prefix, torch::nn::Module& module) {
  SDG_CHECK(!values_.defined(), "FlatParameters: add() after build()");
  for (const auto& entry : module.named_parameters()) {
    if (!entry.value().requires_grad()) continue;
    parameters_.push_back(entry.value());
    names_.push_back(prefix + entry.key());
  }
}

void FlatParameters::build() {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> pieces;
  pieces.reserve(parameters_.size());
  for (const auto& parameter : parameters_) pieces.push_back(parameter.detach().reshape({-1}));
  hold(at::cat(pieces));
}

void FlatParameters::let_go() {
  const at::NoGradGuard no_grad;
  const auto nothing = at::zeros({1}, values_.options());
  for (auto& parameter : parameters_) parameter.set_data(nothing.expand(parameter.sizes()));
  values_ = Tensor();
}

void FlatParameters::hold(const Tensor& values) {
  const at::NoGradGuard no_grad;
  values_ = values;
  int64_t offset = 0;
  for (auto& parameter : parameters_) {
    parameter.set_data(values_.narrow(0, offset, parameter.numel()).view(parameter.sizes()));
    offset += parameter.numel();
  }
}

std::vector<NamedRange> FlatParameters::ranges() const {
  std::vector<NamedRange> out;
  int64_t begin = 0;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto& parameter = parameters_[i];
    out.push_back({names_[i], begin, begin + parameter.numel(), parameter.dim()});
    begin += parameter.numel();
  }
  return out;
}

std::vector<Tensor> FlatParameters::views(const Tensor& flat) const {
  std::vector<Tensor> out;
  out.reserve(parameters_.size());
  int64_t offset = 0;
  for (const auto& parameter : parameters_) {
    out.push_back(flat.narrow(0, offset, parameter.numel()).view(parameter.sizes()));
    offset += parameter.numel();
  }
  return out;
}

std::map<std::string, Tensor> FlatParameters::named_views(const Tensor& flat) const {
  std::map<std::string, Tensor> out;
  const auto all = views(flat);
  for (size_t i = 0; i < all.size(); ++i) out[names_[i]] = all[i];
  return out;
}

std::map<std::string, Tensor> named_tensors(const std::string& prefix, const torch::nn::Module& module) {
  std::map<std::string, Tensor> out;
  for (const auto& entry : module.named_parameters()) out[prefix + entry.key()] = entry.value().detach();
  for (const auto& entry : module.named_buffers()) out[prefix + entry.key()] = entry.value().detach();
  return out;
}

}  // namespace sdg::network
