#pragma once
#include <cstddef>
#include <functional>
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::learn {

/// While it lives, found(i, gradient) is called as soon as a backward pass has all of the gradient of parameters[i], on
/// the pass's thread, without a graph. Of parameters that no gradient comes to nothing is heard. Only one pass through
/// them may run.
class GradientHooks {
 public:
  using Found = std::function<void(size_t i, const Tensor& gradient)>;
  GradientHooks(const std::vector<Tensor>& parameters, Found found);
  ~GradientHooks();
  GradientHooks(const GradientHooks&) = delete;
  GradientHooks& operator=(const GradientHooks&) = delete;

 private:
  std::vector<Tensor> parameters_;
  std::vector<unsigned> hooks_;
};

}  // namespace sdg::learn
