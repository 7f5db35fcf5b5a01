#include "sdg/learn/ordered_sum.h"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/empty_like.h>

#include <utility>

#include "sdg/core/error.h"

namespace sdg::learn {

void OrderedSum::begin(const network::FlatParameters& flat, Reducer& reducer) {
  flat_ = &flat;
  reducer_ = &reducer;
  waiting_.clear();
  next_ = 0;
  adding_ = false;
  sum_ = {};
  views_.clear();
}

void OrderedSum::add(int64_t number, double loss, std::vector<Tensor> gradients) {
  std::unique_lock lock(mutex_);
  waiting_[number] = {loss, std::move(gradients)};
  if (adding_ || reducer_->ranks() > 1) return;  // the thread that adds will come to it, or take() does
  adding_ = true;
  for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_; first = waiting_.begin()) {
    {
      const auto part = std::move(first->second);
      waiting_.erase(first);
      lock.unlock();
      include(part);
    }
    lock.lock();
    ++next_;
  }
  adding_ = false;
}

void OrderedSum::include(const Part& part) {
  const at::NoGradGuard no_grad;
  sum_.loss += part.loss;
  const bool is_first = !sum_.gradient.defined();
  if (is_first) {
    sum_.gradient = at::empty_like(flat_->values());
    views_ = flat_->views(sum_.gradient);
  }
  std::vector<Tensor> of_sum, of_part;
  for (size_t i = 0; i < views_.size(); ++i) {
    if (i < part.gradients.size() && part.gradients[i].defined()) {
      of_sum.push_back(views_[i]);
      of_part.push_back(part.gradients[i]);
    } else if (is_first) {
      views_[i].zero_();
    }
  }
  if (of_sum.empty()) return;
  if (is_first) {
    at::_foreach_copy_(of_sum, of_part);
  } else {
    at::_foreach_add_(of_sum, of_part);
  }
}

Contribution OrderedSum::of_all_ranks() {
  std::vector<Tensor> gradients;
  std::vector<double> own;
  for (auto& [number, part] : waiting_) {
    gradients.push_back(flat_->flatten(part.gradients));
    own.push_back(part.loss);
    part.gradients.clear();
  }
  waiting_.clear();
  Contribution out;
  const auto losses = reducer_->all_gather(at::tensor(own, at::kDouble));  // [shards of all ranks]
  for (int64_t i = 0; i < losses.size(0); ++i) out.loss += losses[i].item<double>();
  out.gradient = reducer_->sum_in_order(gradients);
  return out;
}

Contribution OrderedSum::take() {
  if (reducer_->ranks() > 1) return of_all_ranks();
  SDG_CHECK(waiting_.empty(), "the sum of shards: shard ", next_, " is missing");
  views_.clear();
  return std::exchange(sum_, {});
}

}  // namespace sdg::learn
