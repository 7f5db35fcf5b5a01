#include "sdg/metrics/inception_score.h"

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/core/shape.h"

namespace sdg::metrics {
namespace {

double score_of(const Tensor& logits) {
  const Tensor log_p = logits.to(at::kDouble).log_softmax(1);  // [n, C]
  const Tensor p = log_p.exp();
  const Tensor log_mean = p.mean(0).log();  // [C]
  // p = 0 gives 0, though its logarithm and that of the mean are infinite.
  const Tensor terms = at::where(p > 0, p * (log_p - log_mean), at::zeros_like(p));
  return std::exp(terms.sum(1).mean().item<double>());
}

}  // namespace

InceptionScore inception_score(const std::vector<Tensor>& pieces) {
  InceptionScore out;
  std::vector<double> scores;
  for (const auto& piece : pieces) {
    check_shape(piece, {-1, -1}, "inception score: logits");
    SDG_CHECK(piece.size(0) >= 1, "inception score: expected at least 1 image in each split, got none");
    scores.push_back(score_of(piece));
  }
  SDG_CHECK(!scores.empty(), "inception score: no images");
  out.pieces = static_cast<int64_t>(scores.size());
  const auto n = static_cast<double>(scores.size());
  for (const auto score : scores) out.mean += score / n;
  double squares = 0;
  for (const auto score : scores) squares += (score - out.mean) * (score - out.mean);
  out.deviation = std::sqrt(squares / n);
  return out;
}

InceptionScore inception_score(const Tensor& logits, int64_t splits, uint64_t seed) {
  check_shape(logits, {-1, -1}, "inception score: logits");
  const auto rows = logits.size(0);
  SDG_CHECK(splits >= 1 && rows >= splits, "inception score: expected at least 1 split and 1 image in each, got ", rows,
            " images and ", splits, " splits");
  const auto order = at::tensor(rng::permutation({seed, rng::Purpose::kSubset, 3}, rows)).to(logits.device());
  std::vector<Tensor> pieces;
  for (int64_t i = 0; i < splits; ++i)
    pieces.push_back(logits.index_select(0, order.slice(0, rows * i / splits, rows * (i + 1) / splits)));
  return inception_score(pieces);
}

}  // namespace sdg::metrics
