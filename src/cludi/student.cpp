#include "sdg/cludi/student.h"

#include <ATen/ATen.h>

#include "sdg/cludi/pair_loss.h"
#include "sdg/core/rng.h"

namespace sdg::cludi {

StudentOutput student_pass(const Denoiser& denoiser, const NoiseSchedule& schedule, const CludiOptions& options,
                           const StudentInput& input) {
  const auto z_n = schedule.noised(denoiser->embedding(input.targets), input.noise, input.n);  // [C, B, E]
  const bool velocity = options.model.predicts == Predicts::kVelocity;
  const auto estimate = [&](const Tensor& conditions, const Tensor& last, const DropoutDraw* dropout) {
    return schedule.data_of(denoiser->forward(z_n, conditions, input.n, last, dropout), z_n, input.n);
  };
  auto last = at::zeros_like(z_n);
  if (input.self_condition) {
    const at::NoGradGuard no_grad;
    DropoutDraw other;  // masks of its own
    if (input.dropout)
      other = {rng::hash("first estimate") ^ input.dropout->seed, input.dropout->step, input.dropout->samples};
    const auto* first = input.dropout ? &other : nullptr;
    last = estimate(denoiser->conditions(input.features, first), last, first);
    if (velocity && options.draw.clamp > 0) last = last.clamp(-options.draw.clamp, options.draw.clamp);
  }
  StudentOutput out;
  out.z_0 = estimate(denoiser->conditions(input.features, input.dropout), last, input.dropout);
  std::vector<Tensor> assignments;
  for (size_t head = 0; head < denoiser->heads(); ++head) {
    out.logits.push_back(denoiser->logits(out.z_0, head));
    assignments.push_back((out.logits.back() / options.draw.temperature).softmax(-1));
  }
  out.embedding = denoiser->embedding(assignments);
  const bool divided = options.noise.divide_weight && !options.model.multiple_k;
  out.weights = schedule.loss_weights().index_select(0, input.n.cpu()).to(out.z_0.options()) /
                (divided ? options.noise.factor : 1);
  return out;
}

Losses losses(const Tensor& teacher_embedding, const std::vector<Tensor>& teacher_logits, const StudentOutput& student,
              const TrainOptions& options) {
  Losses out;
  const auto square = (student.embedding - teacher_embedding).square().mean({1, 2});  // [C]
  out.diffusion = (student.weights * square).mean();
  std::vector<Tensor> heads;
  for (size_t i = 0; i < teacher_logits.size(); ++i)
    heads.push_back(pair_loss(teacher_logits[i], student.logits[i], student.weights,
                              {options.row_temperature, options.column_temperature, options.pair_weight}));
  out.assignment = sum_of_heads(heads, options.head_sum);
  out.total = options.diffusion * out.diffusion + options.assignment * out.assignment;
  return out;
}

}  // namespace sdg::cludi
