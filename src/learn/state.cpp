#include "sdg/learn/state.h"

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::learn {

void restore(const Tensor& target, const tensors::TensorFile& file, const std::string& name, const std::string& where) {
  const at::NoGradGuard no_grad;
  const auto& stored = file.at(name, where);
  SDG_CHECK(stored.sizes() == target.sizes(), where, ": ", name, " is ", to_string(stored.sizes()),
            ", this configuration needs ", to_string(target.sizes()));
  target.copy_(stored);
}

}  // namespace sdg::learn
