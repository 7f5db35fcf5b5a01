#pragma once
#include <optional>

#include "sdg/cluster/sinkhorn.h"
#include "sdg/core/tensor.h"

namespace sdg::learn {

/// What one step did. Figures and the gradient are of all ranks' images, `ids` and the rows of `sinkhorn` of this
/// rank's.
struct StepResult {
  double flow_loss = 0;       ///< mean squared error of the prediction
  double cluster_loss = 0;    ///< mean assignment loss in nats over all rows; 0 where nothing is clustered
  double objective = 0;       ///< what was minimised: the sum of the objectives, with their weights
  double cluster_window = 0;  ///< that cluster loss within the window, unweighted
  double cluster_weight = 0;
  double dispersive_loss = 0;  ///< unweighted; 0 where it is off
  double alignment_loss = 0;   ///< unweighted, in [-1, 1]; 0 where it is off
  double grad_norm = 0;        ///< before clipping
  double lr = 0;
  bool conditioned = false;  ///< did the network get conditions
  double agreement = -1;     ///< see Agreement::value; below 0 while unknown
  bool stable_now = false;   ///< clusters hold still as condition.stable asks: conditions begin with the next step
  std::optional<cluster::SinkhornResult> sinkhorn;  ///< of the batch
  Tensor ids;       ///< int64 [B] (patch level [B, L]): the teacher's clusters, or the given indices
  Tensor gradient;  ///< [P], as the optimizer got it (clipped); names: Learner::named. With train.shard_state over
                    ///< ranks this rank's slice
};

}  // namespace sdg::learn
