#pragma once
#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {

/// The last rows that were pushed, oldest overwritten first: embeddings of earlier steps that are balanced together
/// with a batch too small for its K (SwAV, 2006.09882, section 4.1). Holds no gradient. Over ranks each holds the same
/// rows, those of all ranks' batches, so that a run can go on with another number of ranks.
class RowQueue {
 public:
  RowQueue() = default;
  /// Room for `rows` rows [width] on the device; 0 rows is a queue that keeps nothing.
  RowQueue(int64_t rows, int64_t width, const at::Device& device);

  /// What is in it, [min(seen, rows), width], in no meaningful order; over ranks this rank's part, so that the parts
  /// balanced together hold each row once.
  Tensor rows(const Reducer& reducer = Reducer::local()) const;
  /// embeddings [n, width]; over ranks the rows of all, in the order of the ranks.
  void push(const Tensor& embeddings, Reducer& reducer = Reducer::local());
  /// The same on one rank where it is not known yet whether the rows count: a bool scalar on the device, true keeps
  /// what was there. Rows ever pushed count in any case; rewind() takes them back.
  void push_unless(const Tensor& bad, const Tensor& embeddings);
  void rewind(int64_t seen) { seen_ = seen; }

  int64_t capacity() const { return data_.defined() ? data_.size(0) : 0; }
  /// All storage [rows, width] and the number of rows ever pushed, for checkpoints.
  Tensor data() const { return data_; }
  int64_t seen() const { return seen_; }
  /// Of a queue of another length the latest rows are taken.
  void restore(const Tensor& data, int64_t seen);

 private:
  void put(const Tensor& embeddings, const Tensor& bad);

  Tensor data_;
  int64_t seen_ = 0;
};

/// How many rows bring a batch of `batch` rows to twice the number of clusters.
int64_t queue_rows(int64_t clusters, int64_t batch);

}  // namespace sdg::cluster
