#include "sdg/core/reducer.h"

#include <ATen/core/grad_mode.h>
#include <torch/types.h>

#include <algorithm>
#include <exception>
#include <numeric>

#include "sdg/core/error.h"

namespace sdg {
namespace {

class Local : public Reducer {
 public:
  Local() : Reducer(0, 1) {}

 private:
  void reduce_into(Tensor&, Op) override {}
  Tensor gathered(const Tensor& rows, const std::vector<int64_t>&) override { return rows; }
  Tensor gathered_alike(const Tensor& own) override { return own; }
  Tensor exchanged(const Tensor& values, const std::vector<int64_t>&, const std::vector<int64_t>&) override {
    return values;
  }
  void broadcast_into(Tensor&, int64_t) override {}
};

void check(const Tensor& tensor, const char* call) {
  SDG_CHECK(tensor.defined(), "reducer: ", call, " got an undefined tensor");
  const auto type = tensor.scalar_type();
  SDG_CHECK(type == at::kDouble || type == at::kFloat || type == at::kLong, "reducer: ", call,
            " takes float64, float32 or int64, got ", type);
  SDG_CHECK(!tensor.requires_grad() || !at::GradMode::is_enabled(), "reducer: ", call,
            " is not seen by autograd; sum_over_ranks is");
}

}  // namespace

Reducer::Reducer(int64_t rank, int64_t ranks) : rank_(rank), ranks_(ranks) {
  SDG_CHECK(ranks >= 1 && rank >= 0 && rank < ranks, "reducer: expected 0 <= rank < ranks, got rank ", rank, " of ",
            ranks);
}

Reducer& Reducer::local() {
  static Local one;
  return one;
}

Tensor Reducer::all_reduce(Tensor values, Op op) {
  check(values, "all_reduce");
  if (ranks_ == 1) return values;
  const at::NoGradGuard no_grad;
  reduce_into(values, op);
  return values;
}

Tensor Reducer::all_gather(const Tensor& rows, const std::vector<int64_t>& counts) {
  check(rows, "all_gather");
  SDG_CHECK(rows.dim() >= 1, "reducer: all_gather takes rows [n, ...], got a scalar");
  const bool told = counts.size() == static_cast<size_t>(ranks_);
  SDG_CHECK(counts.empty() || (told && counts[static_cast<size_t>(rank_)] == rows.size(0)), "reducer: all_gather of ",
            rows.size(0), " rows does not fit the counts of ", counts.size(), " ranks");
  if (ranks_ == 1) return rows;
  const at::NoGradGuard no_grad;
  return gathered(rows, counts);
}

Tensor Reducer::all_gather_alike(const Tensor& own) {
  check(own, "all_gather_alike");
  if (ranks_ == 1) return own.unsqueeze(0);
  const at::NoGradGuard no_grad;
  return gathered_alike(own);
}

Tensor Reducer::broadcast(Tensor values, int64_t root) {
  check(values, "broadcast");
  SDG_CHECK(root >= 0 && root < ranks_, "reducer: broadcast from rank ", root, " of ", ranks_);
  if (ranks_ == 1) return values;
  const at::NoGradGuard no_grad;
  broadcast_into(values, root);
  return values;
}

Tensor Reducer::all_to_all(const Tensor& values, const std::vector<int64_t>& to, const std::vector<int64_t>& from) {
  check(values, "all_to_all");
  const auto ranks = static_cast<size_t>(ranks_);
  SDG_CHECK(values.dim() == 1 && to.size() == ranks && from.size() == ranks &&
                std::accumulate(to.begin(), to.end(), int64_t{0}) == values.size(0),
            "reducer: all_to_all takes a piece of values [n] for each of ", ranks_, " ranks, got ", to.size(),
            " pieces of ", to_string(values.sizes()));
  if (ranks_ == 1) return values;
  const at::NoGradGuard no_grad;
  return exchanged(values, to, from);
}

void Reducer::first_alone(const std::function<void()>& work) {
  if (ranks_ == 1) return work();
  std::string failure;
  std::exception_ptr own;
  if (rank_ == 0) {
    try {
      work();
    } catch (const std::exception& error) {
      own = std::current_exception();
      failure = error.what();
      if (failure.empty()) failure = "failed";
    }
  }
  wait_for_first();
  const auto texts = all_gather_texts(failure, *this);
  if (own) std::rethrow_exception(own);
  if (!texts.front().empty()) throw RankError(texts.front());
}

double Reducer::sum(double value) {
  return ranks_ == 1 ? value : all_reduce(at::scalar_tensor(value, at::kDouble)).item<double>();
}

int64_t Reducer::sum(int64_t value) {
  return ranks_ == 1 ? value : all_reduce(at::scalar_tensor(value, at::kLong)).item<int64_t>();
}

double Reducer::max(double value) {
  return ranks_ == 1 ? value : all_reduce(at::scalar_tensor(value, at::kDouble), Op::kMax).item<double>();
}

Tensor log_sum_over_ranks(const Tensor& x, Reducer& reducer) {
  if (reducer.ranks() == 1) return x;
  const at::NoGradGuard no_grad;
  const auto largest = reducer.all_reduce(x.clone(), Reducer::Op::kMax);
  const auto finite = at::where(largest.isinf(), at::zeros_like(largest), largest);  // -inf - -inf would be nan
  return reducer.all_reduce((x - finite).exp_()).log_().add_(finite);
}

std::vector<std::string> all_gather_texts(const std::string& text, Reducer& reducer) {
  if (reducer.ranks() == 1) return {text};
  auto bytes = at::empty({static_cast<int64_t>(text.size())}, at::kLong);
  for (size_t i = 0; i < text.size(); ++i) bytes.data_ptr<int64_t>()[i] = static_cast<unsigned char>(text[i]);
  const auto lengths = reducer.all_gather(at::full({1}, bytes.size(0), at::kLong));
  const auto all = reducer.all_gather(bytes).contiguous();
  const auto* next = all.const_data_ptr<int64_t>();
  std::vector<std::string> out;
  for (int64_t rank = 0; rank < reducer.ranks(); ++rank) {
    std::string own;
    for (auto left = lengths[rank].item<int64_t>(); left > 0; --left) own.push_back(static_cast<char>(*next++));
    out.push_back(own);
  }
  return out;
}

RowRange own_rows(int64_t count, int64_t rank, int64_t ranks) {
  const auto begin = [&](int64_t of) { return of * (count / ranks) + std::min(of, count % ranks); };
  return {begin(rank), begin(rank + 1)};
}

RowRange own_rows(int64_t count, const Reducer& reducer) {
  return own_rows(count, reducer.rank(), reducer.ranks());
}

}  // namespace sdg
