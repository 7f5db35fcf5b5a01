#pragma once
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <memory>

#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"
#include "sdg/nn/layers.h"

namespace torch::nn {  // their headers cost every includer of this one seconds
class BatchNorm1dImpl;
class SequentialImpl;
}  // namespace torch::nn

namespace sdg::cluster {

struct PrototypeHeadOptions {
  int64_t feature_dim = 0;  ///< width of the features
  int64_t hidden = 0;       ///< width inside; 0 is half the features' (public code: D/2)
  int64_t dim = 0;  ///< p, width of embeddings and prototypes (= D of the network where prototypes become tokens); 0 is
                    ///< feature_dim
  int64_t clusters = 0;      ///< K
  bool standardize = false;  ///< first bring every feature to mean 0 and variance 1 over the batch (public code: no)
  bool centroids = false;    ///< keep the mean embedding of each cluster's members (public code: no)
};

struct HeadOutput {
  Tensor embedding;  ///< [N, p], unit rows
  Tensor scores;     ///< [N, K] cosines (where the prototypes are unit rows)
};

/// features [N, F] -> Linear, BatchNorm, ReLU, Linear -> unit embedding -> scores against prototypes (docs/math.md,
/// "Prototype head"). In train mode BatchNorm needs the statistics of at least two rows: one row throws Error. In eval
/// mode any N works. Over ranks the statistics are those of all ranks' rows, with the gradient through them; a rank's N
/// may be 0. State-dict names: projection_head.{0,1,3}.*, prototypes.weight [K, p]; with standardize also the
/// statistics feature_norm.{running_mean,running_var,num_batches_tracked}; with centroids members.{sum [K, p],weight
/// [K]}.
class PrototypeHeadImpl : public torch::nn::Module {
 public:
  explicit PrototypeHeadImpl(const PrototypeHeadOptions& options);
  HeadOutput forward(const Tensor& features, Reducer& reducer = Reducer::local());
  /// Divides each prototype by its length, in place, without gradient.
  void normalize_prototypes();
  /// With `centroids`: members of clusters, embedding [N, p] with ids int64 [N], come in, and those of earlier steps
  /// count 1 % less. Of all ranks' rows. Nothing happens where `bad`, a bool scalar, is true.
  void follow_members(const Tensor& embedding, const Tensor& ids, Reducer& reducer = Reducer::local(),
                      const Tensor& bad = {});
  /// [K, p] the members' mean of each cluster, shorter than 1; the prototype of one that had none for long.
  Tensor centroids() const;
  /// With hidden and dim filled in.
  const PrototypeHeadOptions& options() const { return options_; }

  std::shared_ptr<torch::nn::BatchNorm1dImpl> feature_norm;    // null without standardize
  std::shared_ptr<torch::nn::SequentialImpl> projection_head;  // Linear, BatchNorm1d, ReLU, Linear
  nn::Linear prototypes{nullptr};
  Tensor members_sum, members_weight;  // undefined without centroids

 private:
  PrototypeHeadOptions options_;
};
TORCH_MODULE(PrototypeHead);

/// Initial weights as a function of (seed, parameter name): Linear N(0, 0.02^2), biases 0, BatchNorm the identity,
/// prototypes uniform on the unit sphere.
void initialize(PrototypeHeadImpl& head, uint64_t seed);

}  // namespace sdg::cluster
