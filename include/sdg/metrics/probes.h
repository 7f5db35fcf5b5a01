#pragma once
#include "sdg/core/tensor.h"

/// What can be read from features without changing them: customary probes (docs/math.md, "Agreement of
/// clusters with labels"). Features are [N, F]
/// float on any device, labels int64 [N] of any values >= 0, on the same device. Both probes are deterministic.
namespace sdg::metrics {

/// DINOv2's k-NN classifier.
struct KnnOptions {
  int64_t neighbours = 20;  ///< fewer where there are fewer rows to choose from
  double temperature = 0.07;
};
/// Class of each query: rows are scaled to length 1, the k nearest by cosine vote with softmax(cosine / temperature).
/// int64 [M]. The similarities are computed in blocks of queries, so memory beyond the features stays bounded.
Tensor knn_predict(const Tensor& features, const Tensor& labels, const Tensor& queries, const KnnOptions& options = {});
/// The same for the rows themselves, each without its own vote.
Tensor knn_leave_one_out(const Tensor& features, const Tensor& labels, const KnnOptions& options = {});

/// Multinomial logistic regression on features that are standardised by the training rows: the minimum over W, b of
///   mean cross-entropy + |W|^2 / (2 C n),
/// which is scikit-learn's LogisticRegression(C) (the intercept b is not penalised). Convex, so what it finds does not
/// depend on how; full-batch L-BFGS in float64.
struct LinearProbeOptions {
  double strength = 1;       ///< C: larger trusts the training rows more
  int64_t iterations = 500;  ///< at most
  double tolerance = 1e-5;   ///< stops where no entry of the gradient is larger
};
struct LinearProbe {
  double accuracy = 0;        ///< share of the test rows named right
  double train_accuracy = 0;  ///< of the training rows
  double loss = 0;            ///< the minimum, with the penalty
  double test_loss = 0;       ///< mean cross-entropy of the test rows, nats; test classes never trained on are left out
  int64_t iterations = 0;
  bool converged = false;
};
/// Classes are those of the training rows; a test row of another counts as named wrong. Where F is much larger than the
/// number of training rows n, the problem is solved in the n dimensions that they span: the same minimum, and memory
/// of n numbers a row. Throws Error for fewer than two classes or no test rows.
LinearProbe linear_probe(const Tensor& train, const Tensor& train_labels, const Tensor& test, const Tensor& test_labels,
                         const LinearProbeOptions& options = {});

}  // namespace sdg::metrics
