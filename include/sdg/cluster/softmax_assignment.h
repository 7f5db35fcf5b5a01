#pragma once
#include "sdg/cluster/sinkhorn.h"

namespace sdg::cluster {

/// What Sinkhorn-Knopp is compared with: softmax(scores / epsilon) of each row [B, K], nothing balanced. The figures of
/// the result mean the same as sinkhorn's, over all ranks' rows. Without gradient. Throws Error for scores that are not
/// finite; with no_waiting, on one rank, they are not looked at and make assignments that are not finite.
SinkhornResult softmax_assignment(const Tensor& scores, double epsilon, Reducer& reducer = Reducer::local(),
                                  bool no_waiting = false);

}  // namespace sdg::cluster
