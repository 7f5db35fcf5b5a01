#pragma once
#include "sdg/core/rng.h"
#include "sdg/learn/learner.h"

namespace sdg::test {

/// Weights that are nowhere zero, of the average others than of the trained network.
inline void shake(learn::Learner& learner) {
  const at::NoGradGuard no_grad;
  for (auto* network : {&learner.student(), &learner.teacher()}) {
    const uint64_t seed = network == &learner.student() ? 9 : 10;
    for (auto& item : network->model->named_parameters())
      item.value().add_(rng::normal({seed, rng::Purpose::kTest, rng::hash(item.key())}, {0}, item.value().sizes())[0],
                        0.05);
  }
}

}  // namespace sdg::test
