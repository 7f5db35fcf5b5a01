#pragma once
// The clustering head of sgfm, written out (docs/math.md, "Prototype head"): the network's features are compared with
// the public code through it.
#include <torch/types.h>

#include <map>
#include <string>

namespace sdg::test {

struct Head {
  std::map<std::string, at::Tensor>
      weights;  // projection_head.*, prototypes.*; running statistics are updated in place
  bool normalize = true;

  struct Output {
    at::Tensor embedding, scores;
  };
  Output operator()(const at::Tensor& features, bool training) {
    auto& w = weights;
    auto x = at::linear(features, w.at("projection_head.0.weight"), w.at("projection_head.0.bias"));
    x = at::batch_norm(x, w.at("projection_head.1.weight"), w.at("projection_head.1.bias"),
                       w.at("projection_head.1.running_mean"), w.at("projection_head.1.running_var"), training, 0.1,
                       1e-5, false);
    x = at::linear(x.relu(), w.at("projection_head.3.weight"), w.at("projection_head.3.bias"));
    if (normalize) x = x / x.norm(2, 1, true).clamp_min(1e-12);
    return {x, at::linear(x, w.at("prototypes.weight"))};
  }
};

}  // namespace sdg::test
