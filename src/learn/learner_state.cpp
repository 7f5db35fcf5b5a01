#include "sdg/learn/learner_state.h"

#include "learn/lerp.h"
#include "sdg/core/parallel.h"
#include "sdg/learn/optimizer.h"
#include "sdg/learn/own_images.h"
#include "sdg/learn/parameter_groups.h"
#include "sdg/recipe/source.h"

namespace sdg::learn {
namespace {

network::FlatParameters flatten(network::Network& network) {
  network::FlatParameters flat;
  flat.add("", *network.model);
  if (network.projector) flat.add(network::kProjectorPrefix, *network.projector);
  if (network.head) flat.add("", *network.head);
  flat.build();
  return flat;
}

std::vector<Tensor> trainable(torch::nn::Module& module) {
  std::vector<Tensor> out;
  for (auto& parameter : module.parameters()) {
    if (parameter.requires_grad()) out.push_back(parameter);
  }
  return out;
}

void copy_unless_bad(const Tensor& ours, const Tensor& theirs, const Tensor& bad) {
  ours.copy_(bad.defined() ? at::where(bad, ours, theirs) : theirs);
}

void follow_buffers(torch::nn::Module& teacher, const torch::nn::Module& student, double keep, const Tensor& bad) {
  const auto source = student.named_buffers();
  for (auto& entry : teacher.named_buffers()) {
    const auto& theirs = source[entry.key()];
    const auto from = bad.defined() ? at::where(bad, entry.value(), theirs) : theirs;  // theirs may be nan then
    if (entry.value().is_floating_point()) {
      entry.value().lerp_(from, 1 - keep);
    } else {
      entry.value().copy_(from);
    }
  }
}

// As the public code does: nothing moves before conditions begin, then the student is copied, then averaged.
void follow_from_the_change(LearnerState& state, const Tensor& bad) {
  auto ours = state.teacher_flat.values();
  const auto& theirs = state.flat.values();
  const auto change = state.beginnings.conditions();
  if (state.steps_done < change) return;
  if (state.steps_done == change) {
    copy_unless_bad(ours, theirs, bad);
    if (state.student.head) follow_buffers(*state.teacher.head, *state.student.head, 0, bad);
  }
  lerp_unless_bad(ours, theirs, 1 - state.config.train.ema, bad);
}

}  // namespace

LearnerState::LearnerState(const recipe::RunConfig& config, const at::Device& device, network::Network student,
                           network::Network teacher, Reducer& reducer)
    : config(config),
      device(device),
      reducer(reducer),
      student(std::move(student)),
      teacher(std::move(teacher)),
      flat(flatten(this->student)),
      teacher_flat(flatten(this->teacher)),
      beginnings(config),
      no_waiting(!device.is_cpu() && reducer.ranks() == 1) {
  check_precision(config.train.precision, device, "train.precision");
  this->student.precision = this->teacher.precision = config.train.precision;
  this->student.keep_casts = true;
  this->student.set_training(true);
  this->teacher.set_training(false);
  model_parameters = trainable(*this->student.model);
  if (this->student.projector) {
    const auto more = trainable(*this->student.projector);
    model_parameters.insert(model_parameters.end(), more.begin(), more.end());
  }
  for (const auto& parameter : model_parameters) model_size += parameter.numel();
  if (this->student.head) head_parameters = trainable(*this->student.head);
  for (auto& parameter : teacher_flat.parameters()) parameter.requires_grad_(false);
  const auto& train = config.train;
  whole_shards = in_whole_shards(train.batch, shard_images(train), device, reducer.ranks());
  slices = Slices(parts_of(parameter_groups(train, flat.ranges(), model_parameters.size())), reducer);
  sharded = train.shard_state && reducer.ranks() > 1;
  average_sharded = sharded && !recipe::looks_through_average(config);
}

void divide_average(LearnerState& state) {
  if (!state.average_sharded || !state.teacher_flat.held()) return;
  const auto own = state.slices.own();
  if (!state.average.defined()) state.average = state.teacher_flat.values().narrow(0, own.begin, own.size()).clone();
  state.teacher_flat.let_go();
}

void gather_average(LearnerState& state, bool on_all) {
  if (!state.average.defined()) return;
  Tensor whole;
  if (on_all) {
    whole = at::empty_like(state.flat.values());
    gather_slices(whole, state.average, state.slices, state.reducer);
  } else {
    whole = gather_on_first(state.average, state.slices, state.reducer);
  }
  if (whole.defined()) state.teacher_flat.hold(whole.to(state.device));
}

void renew_average(LearnerState& state) {
  if (!state.teacher_flat.held()) state.teacher_flat.hold(at::zeros_like(state.flat.values()));
  state.average = Tensor();
}

void update_teacher(LearnerState& state, const Tensor& bad) {
  const at::NoGradGuard no_grad;
  const auto& train = state.config.train;
  if (train.teacher == recipe::Teacher::kChange && recipe::facts_of(state.config).online)
    return follow_from_the_change(state, bad);
  const auto& theirs = state.flat.values();
  if (state.average.defined()) {
    const auto own = state.slices.own();
    state.average.lerp_(theirs.narrow(0, own.begin, own.size()), 1 - ema_decay(train, state.steps_done));
    return;
  }
  auto ours = state.teacher_flat.values();
  const auto follow = [&](int64_t from, int64_t size, double keep) {
    lerp_unless_bad(ours.narrow(0, from, size), theirs.narrow(0, from, size), 1 - keep, bad);
  };
  follow(0, state.model_size, ema_decay(train, state.steps_done));
  if (!state.student.head || !state.clustering()) return;
  // The head's average starts anew with the head: its first steps say as little as the network's.
  const double keep = ema_decay(train, state.steps_done - state.beginnings.head());
  follow(state.model_size, ours.numel() - state.model_size, keep);
  follow_buffers(*state.teacher.head, *state.student.head, keep, bad);
}

void in_parallel(const at::Device& device, int64_t shards, const std::function<void(int64_t)>& work) {
  if (device.is_cpu()) {
    worker_pool().run(shards, work);
  } else {
    for (int64_t i = 0; i < shards; ++i) work(i);
  }
}

}  // namespace sdg::learn
