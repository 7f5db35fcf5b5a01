#include "sdg/learn/ordered_sum.h"

#include <ATen/Parallel.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <utility>

#include "learn/taken.h"
#include "sdg/core/error.h"

namespace sdg::learn {
namespace {

// One number of each of this rank's shards; the sum over those of all ranks in their order.
double sum_of_all(const Tensor& own, const StepShards& shards, Reducer& reducer) {
  std::vector<std::vector<int64_t>> ones;
  for (const auto& numbers : shards.numbers) ones.emplace_back(numbers.size(), 1);
  const auto all = gather_in_order(own, ones, shards, reducer);
  double sum = 0;
  for (int64_t i = 0; i < all.size(0); ++i) sum += all[i].item<double>();
  return sum;
}

}  // namespace

Figure sum_in_order(const LearnerState& state, const std::vector<Figure>& own) {
  auto& reducer = state.reducer;
  if (reducer.ranks() > 1 && state.whole_shards)
    return sum_of_all(at::tensor(std::vector<double>(own.begin(), own.end()), at::kDouble), state.shards, reducer);
  Figure sum;
  for (const auto& each : own) sum = sum.plus(each);
  if (reducer.ranks() == 1) return sum;
  return sum_of_all(at::full({1}, static_cast<double>(sum), at::kDouble), one_part_each(reducer.ranks()), reducer);
}

void OrderedSum::break_off() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (courier_.joinable()) courier_.join();
}

void OrderedSum::begin(const network::FlatParameters& flat) {
  break_off();
  flat_ = &flat;
  state_ = nullptr;
  exchange_.reset();
  buckets_.reset();
  whole_shards_ = as_they_come_ = complete_ = ended_ = adding_ = false;
  failure_ = nullptr;
  waiting_.clear();
  losses_.clear();
  next_ = 0;
  sum_ = {};
  views_.clear();
  empty_ = true;
  is_in_.clear();
}

void OrderedSum::begin(const LearnerState& state, Exchange when) {
  begin(state.flat);
  if (state.reducer.ranks() == 1) return;
  state_ = &state;
  whole_shards_ = state.whole_shards;
  parts_ = whole_shards_ ? StepShards{} : one_part_each(state.reducer.ranks());
  as_they_come_ = when == Exchange::kAsTheyCome;
  if (whole_shards_ || state.sharded)
    exchange_ =
        std::make_unique<ShardExchange>(state.flat, state.slices, whole_shards_ ? state.shards : parts_, state.reducer);
  if (!whole_shards_) return;
  losses_.resize(state.shards.numbers[static_cast<size_t>(state.reducer.rank())].size());
  if (as_they_come_) courier_ = std::thread([this] { hand_out_as_they_come(); });
}

void OrderedSum::add(int64_t number, const Figure& loss, std::vector<Tensor> gradients) {
  std::unique_lock lock(mutex_);
  waiting_[number] = {loss, std::move(gradients)};
  if (whole_shards_) {
    losses_[static_cast<size_t>(number)] = loss;
    if (!as_they_come_) return;
    changed_.notify_all();
    changed_.wait(lock, [&] { return ended_ || waiting_.count(number) == 0; });  // so that few are held
    return;
  }
  if (adding_) return;  // the thread that adds will come to it
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

void OrderedSum::add(const Shard& shard, const Figure& loss, std::vector<Tensor> gradients) {
  if (shard.lent && whole_shards_) {
    for (auto& gradient : gradients) gradient = kept(shard, gradient);
  }
  add(shard.number, loss, std::move(gradients));
}

void OrderedSum::add_with_loss(const Shard& shard, std::vector<Tensor> computed) {
  const auto loss = figure_of(shard, computed.back());
  computed.pop_back();
  add(shard, loss, std::move(computed));
}

std::unique_ptr<GradientHooks> OrderedSum::watch(const Shard& shard, const std::vector<Tensor>& parameters) {
  if (!state_ || whole_shards_ || state_->sharded || !as_they_come_ || !shard.last) return nullptr;
  SDG_CHECK(next_ == shard.number && waiting_.empty(), "the sum of shards: shard ", shard.number,
            " is said to be the last, after ", next_);
  const at::NoGradGuard no_grad;
  open();
  first_behind_all_ = parameters.size();
  is_in_.assign(views_.size(), false);
  for (size_t i = first_behind_all_; i < views_.size(); ++i) {
    if (empty_) views_[i].zero_();
    is_in_[i] = true;
  }
  buckets_ = std::make_unique<BucketExchange>(sum_.gradient, state_->reducer);
  return std::make_unique<GradientHooks>(parameters, [this](size_t i, const Tensor& gradient) { found(i, gradient); });
}

void OrderedSum::found(size_t parameter, const Tensor& gradient) {
  if (empty_) {
    views_[parameter].copy_(gradient);
  } else {
    views_[parameter].add_(gradient);
  }
  is_in_[parameter] = true;
  const auto before = first_behind_all_;
  while (first_behind_all_ > 0 && is_in_[first_behind_all_ - 1]) --first_behind_all_;
  if (first_behind_all_ < before)
    buckets_->filled(views_[first_behind_all_].storage_offset() - sum_.gradient.storage_offset());
}

void OrderedSum::open() {
  if (sum_.gradient.defined()) return;
  sum_.gradient = at::empty_like(flat_->values());
  views_ = flat_->views(sum_.gradient);
}

void OrderedSum::include(const Part& part) {
  const at::NoGradGuard no_grad;
  sum_.loss = sum_.loss.plus(part.loss);
  open();
  const bool is_first = std::exchange(empty_, false);
  std::vector<Tensor> of_sum, of_part;
  for (size_t i = 0; i < views_.size(); ++i) {
    if (!is_in_.empty() && is_in_[i]) continue;
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

// Shard after shard, each when it is there.
void OrderedSum::hand_out() {
  for (int64_t k = 0; k < exchange_->rounds(); ++k) {
    Part part;
    if (exchange_->has(k)) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return ended_ || complete_ || waiting_.count(k) > 0; });
      if (ended_) return;
      const auto found = waiting_.find(k);
      SDG_CHECK(found != waiting_.end(), "the sum of shards: shard ", k, " is missing");
      part = std::move(found->second);
      waiting_.erase(found);
      changed_.notify_all();
    }
    exchange_->round(k, part.gradients);
  }
}

void OrderedSum::hand_out_as_they_come() {
  at::set_num_threads(1);
  try {
    hand_out();
  } catch (...) {
    failure_ = std::current_exception();
  }
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

double OrderedSum::loss_of_all_ranks(const StepShards& shards) {
  const auto own =
      whole_shards_ ? at::tensor(losses_, at::kDouble) : at::full({1}, static_cast<double>(sum_.loss), at::kDouble);
  return sum_of_all(own, shards, state_->reducer);
}

void OrderedSum::finish_shards() {
  if (!as_they_come_) return hand_out();
  courier_.join();
  if (failure_) std::rethrow_exception(failure_);
}

// Whether or not it was watched: ranks need not know of each other what went when.
Tensor OrderedSum::sum_of_buckets() {
  SDG_CHECK(waiting_.empty() && !empty_, "the sum of shards: shard ", next_, " is missing");
  if (!buckets_) buckets_ = std::make_unique<BucketExchange>(sum_.gradient, state_->reducer);
  buckets_->finish();
  buckets_.reset();
  views_.clear();
  return std::exchange(sum_.gradient, {});
}

Contribution OrderedSum::of_all_ranks() {
  {
    const std::lock_guard lock(mutex_);
    complete_ = true;
  }
  changed_.notify_all();
  Contribution out;
  if (whole_shards_) {
    finish_shards();
  } else if (state_->sharded) {
    exchange_->round(0, views_);
    views_.clear();
    sum_.gradient = Tensor();
  } else {
    out.gradient = sum_of_buckets();
  }
  out.loss = loss_of_all_ranks(whole_shards_ ? state_->shards : parts_);
  if (exchange_) out.gradient = state_->sharded ? exchange_->slice() : exchange_->whole();
  exchange_.reset();
  return out;
}

Contribution OrderedSum::take() {
  if (state_) return of_all_ranks();
  SDG_CHECK(waiting_.empty(), "the sum of shards: shard ", next_, " is missing");
  views_.clear();
  return std::exchange(sum_, {});
}

}  // namespace sdg::learn
