#pragma once
#include <cstdint>
#include <map>
#include <string>

#include "sdg/core/progress.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {

/// What every way of clustering given features answers, of N rows. What a way does not have is undefined.
struct Answer {
  Tensor ids;            ///< int64 [N]
  Tensor probabilities;  ///< float32 [N, K], rows sum to 1; of hard assignments 0 and 1
  Tensor prototypes;     ///< float32 [K, P]: centroids, prototypes, centres of assignments
  Tensor embeddings;     ///< float32 [N, P]: what stands beside the prototypes
};

/// A clustering that learns step by step and can be stored between two steps.
class Learned {
 public:
  virtual ~Learned() = default;
  virtual int64_t steps() const = 0;  ///< in all
  int64_t done() const { return done_; }
  /// One step; returns its loss. Throws Error, before anything has changed, where that is not finite.
  virtual double advance() = 0;
  /// What the network, as it is, says of features [N, F]. `progress` counts rows times draws.
  virtual Answer answer(const Tensor& features, const Progress& progress = {}) const = 0;
  /// Everything that advance() depends on besides features and options; restore() goes on bit for bit. Throws Error,
  /// naming `where`, for tensors that are missing or of another shape.
  virtual std::map<std::string, Tensor> state() const = 0;
  virtual void restore(const std::map<std::string, Tensor>& state, int64_t done, const std::string& where) = 0;

 protected:
  int64_t done_ = 0;
};

}  // namespace sdg::cluster
