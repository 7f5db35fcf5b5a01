#include "sdg/cludi/pair_loss.h"

#include <ATen/ATen.h>

#include "sdg/core/shape.h"

namespace sdg::cludi {
namespace {

constexpr double kLeastSum = 1e-8, kInLogarithm = 1e-8;

Tensor sum_to_one(const Tensor& x, int64_t dim) {
  return x / x.sum(dim, true).clamp_min(kLeastSum);
}

Tensor targets(const Tensor& logits, double temperature) {
  return sum_to_one((logits / temperature).softmax(1), 2);  // [C, B, K]
}

Tensor log_predictions(const Tensor& logits, double temperature) {
  const double share = static_cast<double>(logits.size(1)) / static_cast<double>(logits.size(2));
  return (share * sum_to_one((logits / temperature).softmax(2), 1) + kInLogarithm).log();  // [C, B, K]
}

// The mean over copies [B, K]; pairs of copies need no more, for the loss of a pair is linear in both.
Tensor mean_of(const Tensor& x, const Tensor& weights) {
  return (weights.defined() ? x * weights.to(x.scalar_type()).reshape({-1, 1, 1}) : x).mean(0);
}

}  // namespace

Tensor pair_loss(const Tensor& teacher, const Tensor& student, const Tensor& weights, const PairLossOptions& options) {
  check_shape(student, {-1, teacher.size(1), teacher.size(2)}, "cludi: the student's logits");
  const bool by_teacher = options.pair_weight == PairWeight::kTeacher;
  const auto of_teacher = mean_of(targets(teacher, options.column_temperature), by_teacher ? weights : Tensor());
  const auto of_student = mean_of(targets(student, options.column_temperature), weights);
  const auto by_student = mean_of(log_predictions(student, options.row_temperature), by_teacher ? Tensor() : weights);
  const auto told_by_teacher = mean_of(log_predictions(teacher, options.row_temperature), {});
  const auto sum = (of_teacher * by_student).sum() + (of_student * told_by_teacher).sum();
  return sum * (-0.5 / static_cast<double>(teacher.size(1)));
}

Tensor sum_of_heads(const std::vector<Tensor>& losses, HeadSum how) {
  Tensor sum = losses.front();
  for (size_t i = 1; i < losses.size(); ++i) sum = (how == HeadSum::kDoubled ? 2 * sum : sum) + losses[i];
  return sum / static_cast<double>(losses.size());
}

}  // namespace sdg::cludi
