#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "sdg/cluster/row_queue.h"
#include "sdg/cluster/sinkhorn.h"
#include "sdg/core/error.h"
#include "sdg/data/loader.h"
#include "sdg/learn/agreement.h"
#include "sdg/learn/draws.h"
#include "sdg/learn/optimizer.h"
#include "sdg/network/flat_parameters.h"
#include "sdg/network/network.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::learn {

/// What one step did.
struct StepResult {
  double flow_loss = 0;       ///< mean squared velocity error
  double cluster_loss = 0;    ///< mean assignment loss in nats over all rows; 0 where nothing is clustered
  double objective = 0;       ///< what was minimised: flow loss + weight * cluster loss within the window
  double cluster_window = 0;  ///< that cluster loss within the window, unweighted
  double cluster_weight = 0;
  double grad_norm = 0;  ///< before clipping
  double lr = 0;
  bool conditioned = false;  ///< did the network get conditions
  double agreement = -1;     ///< see Agreement::value; below 0 while unknown
  bool stable_now = false;   ///< clusters hold still as condition.stable asks: conditions begin with the next step
  std::optional<cluster::SinkhornResult> sinkhorn;  ///< of the batch
  Tensor ids;       ///< int64 [B] (patch level [B, L]): the teacher's clusters, or the given indices
  Tensor gradient;  ///< [P], as the optimizer got it (clipped); names: Learner::named
};

/// A step that was undone because a loss, the gradient or the update was not finite. The message says which step
/// (counted from 1), what went bad, and what may help.
class BadStep : public Error {
 public:
  using Error::Error;
};

/// The state of training and one step of it; knows no files. A step is a function of (state, batch): all draws are
/// keyed by the batch's global sample counters, and the gradients of the shards are summed in a fixed order, so the
/// result does not depend on threads.
class Learner {
 public:
  /// `ids` int64 [data set size]: the condition index of each image for the index sources; undefined otherwise (and
  /// for source recluster, which sets them later). `classes`: number of such indices. `images`: size of the data set.
  Learner(const recipe::RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes,
          int64_t images = Agreement::kRemembered);
  /// With networks and draws of the caller's, which must be what `config` describes.
  Learner(const recipe::RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes,
          network::Network student, network::Network teacher, DrawFn draws, int64_t images = Agreement::kRemembered);

  /// Source recluster: the indices from the next step on; sampling's prior is their histogram.
  void set_ids(const Tensor& ids);
  const Tensor& ids() const { return ids_; }

  /// First step that trains with conditions, as far as known: with condition.stable it may still come earlier.
  int64_t change_at() const { return change_at_; }

  /// Advances by one step. Throws BadStep, leaving everything as it was (weights, prototypes, batch statistics, queue,
  /// optimizer, averages, prior), if a loss, the gradient or the update is not finite.
  StepResult step(const data::Batch& batch);

  int64_t steps_done() const { return steps_done_; }

  /// The trained network, and its average: the teacher that assigns clusters and the network that samples.
  network::Network& student() { return student_; }
  network::Network& teacher() { return teacher_; }
  /// What sampling draws conditions from: the share of each cluster (or class) in the conditions lately given, [K]; at
  /// patch level the last cluster maps themselves, int64 [M, L]. Undefined while no step was trained with conditions.
  Tensor prior() const;
  /// The part of a flat tensor (StepResult::gradient) that belongs to each parameter.
  std::map<std::string, Tensor> named(const Tensor& flat) const { return flat_.named_views(flat); }

  /// Everything a resumed run needs, by name.
  void save(tensors::TensorFile& file) const;
  void load(const tensors::TensorFile& file, const std::string& where);

 private:
  struct Shard;
  bool clustering() const;
  bool conditioned() const;
  void for_each_shard(int64_t shards, const std::function<void(int64_t i)>& work) const;
  void restore_change(const tensors::TensorFile& file, const std::string& where);
  void cluster_views(const Tensor& x, const Draws& draws, Shard& shard);
  void flow_shard(const data::Batch& batch, int64_t first, int64_t count, Shard& shard);
  cluster::SinkhornResult assign(const Tensor& scores, const network::Network& scorer) const;
  Tensor cluster_gradient(std::vector<Shard>& shards, StepResult& result, Tensor& queued);
  Tensor backbone_gradient(std::vector<Shard>& shards, const Tensor& of_features);
  [[noreturn]] void bad_step(const std::string& what) const;
  std::string bad_gradient(const Tensor& gradient, const Tensor& of_clusters) const;
  void watch_agreement(const data::Batch& batch, StepResult& result);
  void update_teacher();
  void update_prior(const StepResult& result);

  recipe::RunConfig config_;
  at::Device device_;
  Tensor ids_;
  int64_t classes_ = 0;
  network::Network student_, teacher_;
  DrawFn draws_;
  network::FlatParameters flat_;
  std::vector<Tensor> model_parameters_, head_parameters_;
  int64_t model_size_ = 0;  ///< of flat_, what belongs to the backbone; the head follows
  network::FlatParameters teacher_flat_;
  AdamW optimizer_;
  Tensor prior_counts_;  ///< [K] float64
  Tensor maps_;          ///< int32 [kMaps, L]: ring of the last cluster maps, patch level only
  int64_t maps_seen_ = 0;
  cluster::RowQueue queue_;  ///< of embeddings, cluster.queue
  Agreement agreement_;
  int64_t cluster_from_ = 0;  ///< first step in which the head learns
  int64_t change_at_ = 0;     ///< first step with conditions, as far as known
  bool came_early_ = false;   ///< that step was chosen by condition.stable
  int64_t steps_done_ = 0;
};

}  // namespace sdg::learn
