#include "sdg/cludi/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "sdg/cluster/noisy_rows.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/parallel.h"
#include "sdg/core/shape.h"

namespace sdg::cludi {
namespace {

using rng::Purpose;

learn::ModuleOptimizerOptions optimizer_options(const TrainOptions& train) {
  return {
      .beta1 = train.beta1, .beta2 = train.beta2, .clip = train.clip, .clip_each = train.clipping == Clipping::kEach};
}

// Uniform draws [C] between two numbers.
Tensor between(const Tensor& uniform, double low, double high) {
  return low + (high - low) * uniform;
}

}  // namespace

Trainer::Trainer(const Tensor& features, int64_t clusters, const CludiOptions& options, uint64_t seed)
    : features_(features.to(at::kFloat)),
      batch_(std::min(options.train.batch, features.size(0))),
      options_(options),
      seed_(seed ^ rng::hash("cludi")),
      schedule_(options.noise, options.model.predicts),
      student_(features.size(1), clusters, options.model),
      average_(features.size(1), clusters, options.model) {
  check(options);
  check_shape(features, {-1, -1}, "cludi: features");
  SDG_CHECK(clusters >= 2, "cludi: expected at least 2 clusters, got ", clusters);
  check_finite(features, "cludi", "features");
  check_precision(options.precision, features.device(), "cludi.precision");
  const auto rows = features.size(0);
  steps_per_epoch_ = options.train.drop_last ? rows / batch_ : (rows + batch_ - 1) / batch_;
  initialize(*student_, seed_);
  initialize(*average_, seed_);
  student_->to(features.device());
  average_->to(features.device());
  student_->compute_in(options.precision);
  average_->compute_in(options.precision);
  optimizer_ = std::make_unique<learn::ModuleOptimizer>(
      *student_, optimizer_options(options.train), [&](const network::NamedRange& range) -> learn::Treatment {
        if (range.name.starts_with("clusters_centers")) return {options_.train.centers_lr, 0};
        return {1, range.dimensions > 1 ? options_.train.weight_decay : 0};
      });
  average_values_.add("", *average_);
  average_values_.build();
}

rng::Stream Trainer::stream(Purpose purpose, int64_t step) const {
  return {seed_, purpose, static_cast<uint64_t>(step)};
}

Trainer::Batch Trainer::batch_of(int64_t step) const {
  const auto order = rng::permutation(stream(Purpose::kOrder, step / steps_per_epoch_), features_.size(0));
  const auto first = (step % steps_per_epoch_) * batch_;
  Batch out;
  out.rows.assign(order.begin() + first, order.begin() + std::min(first + batch_, features_.size(0)));
  for (int64_t copy = 0; copy < options_.train.copies; ++copy)
    for (const auto row : out.rows) out.samples.push_back(copy * features_.size(0) + row);
  out.features = features_.index_select(0, at::tensor(out.rows).to(features_.device())).unsqueeze(0);
  return out;
}

Tensor Trainer::normal(const Batch& batch, Purpose purpose, int64_t step, int64_t width) const {
  return rng::normal(stream(purpose, step), batch.samples, {width}, features_.device())
      .view({options_.train.copies, static_cast<int64_t>(batch.rows.size()), width});
}

// Each copy by itself, so that copies can be drawn side by side: rows know nothing of each other.
Drawn Trainer::drawn_alone(const Denoiser& teacher, const Batch& batch) const {
  const at::NoGradGuard no_grad;
  const auto copies = options_.train.copies, rows = static_cast<int64_t>(batch.rows.size());
  const auto conditions = teacher->conditions(batch.features);
  std::vector<Drawn> drawn(static_cast<size_t>(copies));
  worker_pool().run(copies, [&](int64_t copy) {
    const at::IntArrayRef samples(batch.samples.data() + copy * rows, static_cast<size_t>(rows));
    const auto noise = [&](int64_t i) {
      return rng::normal(stream(Purpose::kTeacherNoise, done_ * (options_.train.steps + 1) + i), samples,
                         {teacher->embedding_width()}, features_.device())
          .unsqueeze(0);
    };
    drawn[static_cast<size_t>(copy)] =
        draw_assignments(teacher, schedule_, conditions, options_.draw, {options_.train.steps}, noise);
  });
  Drawn out;
  for (size_t head = 0; head < teacher->heads(); ++head) {
    std::vector<Tensor> logits;
    for (const auto& one : drawn) logits.push_back(one.logits[head]);
    out.logits.push_back(at::cat(logits));
  }
  std::vector<Tensor> embeddings;
  for (const auto& one : drawn) embeddings.push_back(one.embedding);
  out.embedding = at::cat(embeddings);
  return out;
}

Drawn Trainer::targets_of(const Batch& batch) const {
  const auto& teacher = options_.train.teacher == Weights::kAverage ? average_ : student_;
  if (!options_.train.teacher_gradient) return drawn_alone(teacher, batch);
  const auto noise = [&](int64_t i) {
    return normal(batch, Purpose::kTeacherNoise, done_ * (options_.train.steps + 1) + i, teacher->embedding_width());
  };
  return draw_assignments(teacher, schedule_, teacher->conditions(batch.features), options_.draw,
                          {options_.train.steps}, noise);
}

StudentInput Trainer::input_of(const Batch& batch, const Drawn& targets) const {
  const auto& train = options_.train;
  const auto copies = rng::consecutive(0, train.copies);
  const auto uniform = [&](Purpose purpose) {
    return rng::uniform(stream(purpose, done_), copies, {2}, features_.device());  // [C, 2]
  };
  StudentInput out;
  const auto spread = uniform(Purpose::kStudentTime);
  out.features = cluster::with_noise(batch.features, normal(batch, Purpose::kStudentNoise, done_, features_.size(1)),
                                     between(spread.select(1, 0), train.noise_low, train.noise_high));
  const auto mask = rng::uniform(stream(Purpose::kDrop, done_), batch.samples, {features_.size(1)}, features_.device());
  out.features = cluster::with_gaps(out.features, mask.view(out.features.sizes()),
                                    between(spread.select(1, 1), train.drop_low, train.drop_high));
  for (const auto& logits : targets.logits) {
    auto assignment = (logits / options_.draw.temperature).softmax(-1);
    if (train.half_targets) assignment = assignment.to(at::kHalf).to(at::kFloat);
    out.targets.push_back(assignment);
  }
  const auto times = uniform(Purpose::kTime);
  const auto levels = static_cast<double>(schedule_.levels());
  out.n = (times.select(1, 0) * levels).to(at::kLong).clamp_max(schedule_.levels() - 1);
  out.noise = normal(batch, Purpose::kNoise, done_, options_.model.embedding);
  out.self_condition = times[0][1].item<double>() < train.self_condition;  // one coin for the whole step
  return out;
}

double Trainer::learning_rate() const {
  const auto& train = options_.train;
  const auto warmup = std::llround(train.warmup * static_cast<double>(steps_per_epoch_));
  return cosine_with_warmup(train.lr, train.lr_end, warmup, steps(), done_);
}

void Trainer::update_average() {
  const at::NoGradGuard no_grad;
  for (int64_t i = 0; i < options_.train.average_updates; ++i) {
    const auto n = static_cast<double>(done_ * options_.train.average_updates + i);
    const double decay = std::min(options_.train.average, (1 + n) / (10 + n));
    average_values_.values().lerp_(optimizer_->values(), 1 - decay);
  }
}

double Trainer::advance() {
  const auto batch = batch_of(done_);
  auto targets = targets_of(batch);
  const DropoutDraw masks{seed_, static_cast<uint64_t>(done_), batch.samples};
  auto input = input_of(batch, targets);
  input.dropout = &masks;
  const auto student = student_pass(student_, schedule_, options_, input);
  auto lowered = losses(targets.embedding, targets.logits, student, options_.train);
  const auto loss = lowered.total.item<double>();
  SDG_CHECK(std::isfinite(loss), "cludi: the loss of step ", done_ + 1, " is not finite");
  {
    const BackwardScope backward(options_.precision, features_.device());
    optimizer_->step(lowered.total, learning_rate());
  }
  forget_casts();
  update_average();
  last_ = {lowered.diffusion.detach(), lowered.assignment.detach(), lowered.total.detach()};
  ++done_;
  return loss;
}

std::map<std::string, Tensor> Trainer::state() const {
  auto out = network::named_tensors("student.", *student_);
  out.merge(network::named_tensors("average.", *average_));
  out.merge(optimizer_->state());
  return out;
}

void Trainer::restore(const std::map<std::string, Tensor>& state, int64_t done, const std::string& where) {
  for (auto& [name, tensor] : this->state()) learn::copy_named(state, name, tensor, where);
  done_ = done;
}

}  // namespace sdg::cludi
