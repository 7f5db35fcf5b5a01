#pragma once
#include <optional>

#include "sdg/cluster/sinkhorn.h"
#include "sdg/core/figure.h"
#include "sdg/core/tensor.h"

namespace sdg::learn {

/// What one step did. Figures and the gradient are of all ranks' images, `ids` and the rows of `sinkhorn` of this
/// rank's. On a device figures are in the making until they are used (core/figure.h).
struct StepResult {
  Figure flow_loss;       ///< mean squared error of the prediction
  Figure inner_loss;      ///< the same of the inner head's prediction; 0 where there is none
  Figure cluster_loss;    ///< mean assignment loss in nats over all rows; 0 where nothing is clustered
  Figure objective;       ///< what was minimised: the sum of the objectives, with their weights
  Figure cluster_window;  ///< that cluster loss within the window, unweighted
  double cluster_weight = 0;
  Figure dispersive_loss;  ///< unweighted; 0 where it is off
  Figure alignment_loss;   ///< unweighted, in [-1, 1]; 0 where it is off
  Figure grad_norm;        ///< before clipping
  double lr = 0;
  bool conditioned = false;  ///< did the network get conditions
  Figure agreement = -1;     ///< see Agreement::value; below 0 while unknown
  bool resting = false;      ///< clusters rest (cluster.end)
  bool stable_now = false;   ///< clusters hold still as condition.stable asks: conditions begin with the next step
  std::optional<cluster::SinkhornResult> sinkhorn;  ///< of the batch
  Tensor ids;       ///< int64 [B] (patch level [B, L]): the teacher's clusters, or the given indices
  Tensor gradient;  ///< [P], as the optimizer got it (clipped); names: Learner::named. With train.shard_state over
                    ///< ranks this rank's slice
  Tensor bad;       ///< bool scalar on the device: this step does not count; undefined where that is known: it does
};

}  // namespace sdg::learn
