#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "sdg/cluster/prototype_head.h"
#include "sdg/cluster/row_queue.h"
#include "sdg/cluster/sinkhorn.h"
#include "sdg/learn/agreement.h"
#include "sdg/learn/kept_clusters.h"
#include "sdg/learn/kept_tokens.h"
#include "sdg/learn/learner_state.h"
#include "sdg/learn/objective.h"

namespace sdg::learn {

class HeadGuard;

/// The clustering of the network's own features (arXiv 2312.08825, section 3.2): a head is trained to predict balanced
/// assignments of its scores. The teacher looks at each image once, at cluster.teacher_time, which gives the conditions
/// of the step. What the head learns from is cluster.views: see the two makers below.
///
/// With cluster.refresh below 1 teacher and head look at that share of each batch, spread evenly over the global
/// sample counters; the other images keep the cluster of their last look. Once conditions are given, an image that
/// never had a look gets one. So it is for all images once clusters rest (cluster.end); then head and centroids stay as
/// they are, and there is nothing to learn.
///
/// The head needs the whole batch (its BatchNorm, Sinkhorn) and is small: one thread, after the shards. Over ranks each
/// gathers all rows and does the whole head's work as one rank would, to the bit, where they are few enough
/// (Reducer::worth_gathering); else each has its own rows, and what needs all is exchanged, equal within rounding.
class ClusterObjective : public Objective {
 public:
  /// `state` must outlive this and have heads; `images` is the size of the data set.
  ClusterObjective(LearnerState& state, int64_t images);
  ~ClusterObjective() override;

  std::string name() const override { return "clustering"; }
  bool active() const override { return state_.clustering(); }
  void begin(int64_t shards) override;
  void before_pass(Shard& shard) override;
  std::vector<Tensor> after_pass(Shard& shard) override;
  void take(const Shard& shard, std::vector<Tensor> computed) override;
  Contribution join(StepResult& result) override;
  void keep(const data::Batch& batch, StepResult& result) override;
  void settled(size_t undone) override;
  void undo() override;
  void save(tensors::TensorFile& file) const override;
  void load(const tensors::TensorFile& file, const std::string& where) override;

 protected:
  /// What one shard computed: rows are images, or at patch level patches, image by image.
  struct Part {
    Tensor looked;                             ///< int64 [m]: the images looked at, of the shard's; undefined: all
    Tensor teacher_scores, teacher_embedding;  ///< [n, K], [n, p]
    Tensor features;  ///< [n, F] what the head learns from; with cluster.backbone with the trained network's graph
    Tensor t;         ///< [images] their times
    std::vector<int64_t> index;  ///< [m] of those images in the data set
    Tensor ids;                  ///< int64 [m] or [m, L]: their clusters
  };
  /// The head's rows against their assignments.
  struct Match {
    Tensor losses;                     ///< [rows] assignment losses of head_ranks()' rows, in nats
    Tensor loss;                       ///< this rank's part of the step's, unweighted
    Tensor queued;                     ///< [rows, p] embeddings that later steps are balanced with
    std::vector<int64_t> queued_rows;  ///< of each of this rank's shards, where rows are not gathered
  };
  /// Are conditions of the step, or of their stability, wanted even where the head does not learn from the teacher?
  virtual bool needs_teacher() const;
  /// Nothing where no row of any rank counts.
  virtual std::optional<Match> match(const cluster::HeadOutput& own, StepResult& result) = 0;

  const cluster::ClusterOptions& options() const { return state_.config.cluster; }
  Part& part_of(const Shard& shard) { return parts_[static_cast<size_t>(shard.number)]; }
  /// Of a tensor [images of the shard, ...] those that are looked at, on the device.
  Tensor looked_at(const Shard& shard, const Tensor& all);
  /// The member of all parts, one after the other; of all ranks in the order of their shards where they are gathered.
  Tensor joined(Tensor Part::* member) const;
  /// How many rows the member has in each part.
  std::vector<int64_t> rows_of(Tensor Part::* member) const;
  /// Who else has rows of the head: nobody where they are gathered.
  Reducer& head_ranks() const { return gathered_ ? Reducer::local() : state_.reducer; }
  /// Balanced with the rows of all ranks and of earlier steps; of the answer only the batch's own rows are learned
  /// from.
  cluster::SinkhornResult assign(const Tensor& scores, const network::Network& scorer) const;
  /// Losses of scores [rows, K] against the first rows of the assignments.
  Tensor losses_of(const Tensor& scores, const cluster::SinkhornResult& assigned) const;

  LearnerState& state_;

 private:
  Tensor own_joined(Tensor Part::* member) const;
  Tensor of_all_ranks(const Tensor& own, const std::vector<int64_t>& rows) const;
  Tensor backbone_gradient(const Tensor& of_features);
  void set_gradient(const Tensor& loss, const Tensor& features, Contribution& out);
  void choose(const Shard& shard);
  void tell(Shard& shard);
  void follow_members(const Tensor& ids, const StepResult& result);
  void show_rested(int64_t steps_done);
  void watch_agreement(const std::vector<int64_t>& index, const Tensor& ids, StepResult& result);

  bool gathered_;
  std::vector<Part> parts_;
  std::unique_ptr<HeadGuard> guard_;  // puts the head back unless the step is kept
  Tensor queued_;
  std::vector<int64_t> queued_rows_;
  cluster::RowQueue queue_;           // of embeddings, cluster.queue
  std::vector<int64_t> seen_before_;  // rows it had seen before each step that is not settled
  Agreement agreement_;
  KeptClusters kept_;  // where not all images are always looked at, or what is seen in them is told
  KeptTokens tokens_;  // where that is
};

/// cluster.views two: the head learns from a second look, through other noise and at a time of the window, so that only
/// what survives the noise can be predicted. Assignments are the teacher's.
std::unique_ptr<ClusterObjective> two_views(LearnerState& state, int64_t images);

/// cluster.views one: the head learns from the pass of the flow loss, where its time lies in the window; assignments
/// are those of its own scores, as in the public code.
std::unique_ptr<ClusterObjective> one_view(LearnerState& state, int64_t images);

}  // namespace sdg::learn
