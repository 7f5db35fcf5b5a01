#pragma once
#include <optional>
#include <string>

#include "sdg/cluster/sinkhorn.h"
#include "sdg/data/loader.h"
#include "sdg/io/tensor_file.h"
#include "sdg/train/flat_parameters.h"
#include "sdg/train/network.h"
#include "sdg/train/optimizer.h"

namespace sdg::train {

/// What one step did.
struct StepResult {
  double flow_loss = 0;     ///< mean squared velocity error
  double cluster_loss = 0;  ///< mean assignment loss in nats; 0 where nothing is clustered
  double grad_norm = 0;     ///< before clipping
  double lr = 0;
  bool conditioned = false;                         ///< did the network get conditions
  std::optional<cluster::SinkhornResult> sinkhorn;  ///< of the batch
};

/// The state of training and one step of it; knows no files. A step is a function of (state, batch): all draws are
/// keyed by the batch's global sample counters, and the gradients of the shards are summed in a fixed order, so the
/// result does not depend on threads.
class Learner {
 public:
  /// `ids` int64 [data set size]: the condition index of each image for source label and kmeans; undefined otherwise.
  /// `classes`: number of such indices.
  Learner(const RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes);

  /// Advances by one step. Throws Error, leaving the weights as they were, if loss or gradient is not finite.
  StepResult step(const data::Batch& batch);

  int64_t steps_done() const { return steps_done_; }

  /// The trained network, and its average: the teacher that assigns clusters and the network that samples.
  Network& student() { return student_; }
  Network& teacher() { return teacher_; }
  /// Share of each cluster (or class) in the conditions lately given, [K]; sampling draws from it. Undefined while no
  /// step has been trained with conditions.
  Tensor prior() const;

  /// Everything a resumed run needs, by name.
  void save(io::TensorFile& file) const;
  void load(const io::TensorFile& file, const std::string& where);

 private:
  struct Shard;
  bool clustering() const;
  void flow_shard(const data::Batch& batch, int64_t first, int64_t count, Shard& shard);
  void cluster_views(const Tensor& x, const std::vector<int64_t>& samples, Shard& shard);
  Tensor head_gradient(const std::vector<Shard>& shards, StepResult& result);
  void update_teacher();
  void update_prior(const std::vector<Shard>& shards);

  RunConfig config_;
  at::Device device_;
  Tensor ids_;
  int64_t classes_ = 0;
  Network student_, teacher_;
  FlatParameters flat_;
  std::vector<Tensor> model_parameters_, head_parameters_;
  FlatParameters teacher_flat_;
  AdamW optimizer_;
  Tensor prior_counts_;  ///< [K] float64
  int64_t steps_done_ = 0;
};

}  // namespace sdg::train
