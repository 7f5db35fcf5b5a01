#pragma once
#include <utility>
#include <vector>

#include "sdg/cluster/prototype_head.h"

namespace sdg::learn {

/// Puts the head's prototypes and statistics, which its forward pass moves, back unless the step is kept.
class HeadGuard {
 public:
  explicit HeadGuard(const cluster::PrototypeHead& head) {
    remember(head->prototypes->weight);
    for (const auto& buffer : head->buffers()) remember(buffer);
  }
  ~HeadGuard() {
    const at::NoGradGuard no_grad;
    for (auto& [now, before] : state_) now.copy_(before);
  }
  HeadGuard(const HeadGuard&) = delete;
  HeadGuard& operator=(const HeadGuard&) = delete;
  void keep() { state_.clear(); }
  /// The same where a bool scalar on the device says whether all is put back.
  void keep_unless(const Tensor& bad) {
    const at::NoGradGuard no_grad;
    for (auto& [now, before] : state_) now.copy_(at::where(bad, before, now));
    state_.clear();
  }

 private:
  void remember(const Tensor& tensor) { state_.emplace_back(tensor.detach(), tensor.detach().clone()); }
  std::vector<std::pair<Tensor, Tensor>> state_;
};

}  // namespace sdg::learn
