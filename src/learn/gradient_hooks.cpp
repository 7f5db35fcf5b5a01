#include "sdg/learn/gradient_hooks.h"

#include <torch/csrc/autograd/variable.h>

#include <memory>
#include <utility>

namespace sdg::learn {

GradientHooks::GradientHooks(const std::vector<Tensor>& parameters, Found found) : parameters_(parameters) {
  const auto shared = std::make_shared<const Found>(std::move(found));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    hooks_.push_back(parameters_[i].register_hook([shared, i](const Tensor& gradient) {
      const at::NoGradGuard no_grad;
      (*shared)(i, gradient);
    }));
  }
}

GradientHooks::~GradientHooks() {
  for (size_t i = 0; i < parameters_.size(); ++i) parameters_[i].remove_hook(hooks_[i]);
}

}  // namespace sdg::learn
