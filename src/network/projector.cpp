#include "sdg/network/projector.h"

#include "sdg/nn/alignment.h"
#include "sdg/nn/init.h"

namespace sdg::network {

ProjectorImpl::ProjectorImpl(int64_t in, int64_t hidden, int64_t out, uint64_t seed)
    : first_(register_module("0", nn::Linear(in, hidden, true))),
      second_(register_module("2", nn::Linear(hidden, hidden, true))),
      third_(register_module("4", nn::Linear(hidden, out, true))) {
  const at::NoGradGuard no_grad;
  const nn::Initializer init(seed);
  for (auto& parameter : named_parameters()) {
    if (parameter.value().dim() == 2) {
      init.xavier_uniform(parameter.value(), kProjectorPrefix + parameter.key());
    } else {
      nn::Initializer::constant(parameter.value(), 0);
    }
  }
}

Tensor ProjectorImpl::forward(const Tensor& x) const {
  const auto hidden = at::silu(second_->forward(at::silu(first_->forward(x))));  // [..., hidden]
  return third_->forward(hidden);
}

Tensor alignment_losses(const Projector& projector, const Tensor& tokens, const Tensor& features) {
  const bool whole_images = features.size(1) == 1;
  return nn::alignment_loss(projector->forward(whole_images ? tokens.mean(1, /*keepdim=*/true) : tokens), features);
}

}  // namespace sdg::network
