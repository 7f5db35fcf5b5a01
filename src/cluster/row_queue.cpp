#include "sdg/cluster/row_queue.h"

#include <algorithm>

#include "sdg/core/error.h"

namespace sdg::cluster {

RowQueue::RowQueue(int64_t rows, int64_t width, const at::Device& device) {
  SDG_CHECK(rows >= 0 && width >= 1, "row queue: needs rows >= 0 and width >= 1, got ", rows, " and ", width);
  if (rows > 0) data_ = at::zeros({rows, width}, at::TensorOptions().device(device));
}

Tensor RowQueue::rows(const Reducer& reducer) const {
  SDG_CHECK(data_.defined(), "row queue: it has no room");
  const auto own = own_rows(std::min(seen_, capacity()), reducer);
  return data_.slice(0, own.begin, own.end);
}

void RowQueue::push(const Tensor& own, Reducer& reducer) {
  if (capacity() == 0) return;
  const at::NoGradGuard no_grad;
  put(reducer.all_gather(own.detach()), {});
}

void RowQueue::push_unless(const Tensor& bad, const Tensor& embeddings) {
  if (capacity() == 0) return;
  const at::NoGradGuard no_grad;
  put(embeddings.detach(), bad);
}

void RowQueue::put(const Tensor& embeddings, const Tensor& bad) {
  const auto count = embeddings.size(0);
  const auto skipped = std::max<int64_t>(0, count - capacity());  // of many, the last ones stay
  const auto kept = embeddings.slice(0, skipped);
  const auto place = (seen_ + skipped + at::arange(kept.size(0), kept.options().dtype(at::kLong))) % capacity();
  auto rows = kept.to(data_.scalar_type());
  if (bad.defined()) rows = at::where(bad, data_.index_select(0, place), rows);
  data_.index_copy_(0, place, rows);
  seen_ += count;
}

void RowQueue::restore(const Tensor& data, int64_t seen) {
  SDG_CHECK(data_.defined() && data.dim() == 2 && data.size(0) > 0 && data.size(1) == data_.size(1) && seen >= 0,
            "row queue: expected ", data_.defined() ? to_string(data_.sizes()) : "no rows", ", got ",
            to_string(data.sizes()));
  if (data.size(0) == capacity()) {
    data_.copy_(data);
    seen_ = seen;
    return;
  }
  // Of another length: the latest rows that fit, in their order.
  const auto rows = data.size(0), held = std::min(seen, rows);
  const auto order = (seen - held + at::arange(held, data.options().dtype(at::kLong))) % rows;
  seen_ = 0;
  if (held > 0) push(data.index_select(0, order).to(data_.device()));
}

int64_t queue_rows(int64_t clusters, int64_t batch) {
  return std::max<int64_t>(0, 2 * clusters - batch);
}

}  // namespace sdg::cluster
