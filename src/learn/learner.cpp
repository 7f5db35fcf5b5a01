#include "sdg/learn/learner.h"

#include <algorithm>

#include "sdg/cluster/label_prior.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/precision.h"
#include "sdg/learn/alignment_objective.h"
#include "sdg/learn/cluster_objective.h"
#include "sdg/learn/dispersive_objective.h"
#include "sdg/learn/flow_objective.h"
#include "sdg/learn/own_images.h"
#include "sdg/learn/state.h"
#include "sdg/recipe/source.h"

namespace sdg::learn {
namespace {

// Undoes a step on the way out unless it was kept.
class Undo {
 public:
  explicit Undo(const std::vector<Objective*>& objectives) : objectives_(objectives) {}
  ~Undo() {
    for (auto* objective : objectives_) objective->undo();
  }
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  void keep() { objectives_.clear(); }

 private:
  std::vector<Objective*> objectives_;
};

// Where clusters rest, the optimizer's momentum and decay would go on moving the head.
class HeadAtRest {
 public:
  /// `values` of the head, or nothing.
  explicit HeadAtRest(const Tensor& values) : values_(values) {
    if (values.defined()) before_ = values.clone();
  }
  ~HeadAtRest() {
    if (values_.defined()) values_.copy_(before_);
  }
  HeadAtRest(const HeadAtRest&) = delete;
  HeadAtRest& operator=(const HeadAtRest&) = delete;

 private:
  Tensor values_, before_;
};

network::Network training_network(const recipe::RunConfig& config, int64_t classes, const at::Device& device,
                                  const std::shared_ptr<const network::StoredConditions>& stored,
                                  const AlignmentTarget* target) {
  auto out = network::build_network(config, classes, device, stored);
  if (target) network::add_projector(config, out, target->width, device);
  if (config.align.with_itself()) {
    const auto depth = network::alignment_target_depth(config, *out.model);
    network::add_projector(config, out, out.model->feature_dim(depth), device);
  }
  return out;
}

AdamW optimizer_of(const LearnerState& state) {
  const auto& train = state.config.train;
  const auto groups = parameter_groups(train, state.flat.ranges(), state.model_parameters.size());
  return state.sharded ? AdamW(train, state.flat.values(), groups, state.slices, state.reducer)
                       : AdamW(train, state.flat.values(), groups);
}

std::vector<std::unique_ptr<Objective>> make_objectives(LearnerState& state, int64_t images,
                                                        const std::shared_ptr<const AlignmentTarget>& target) {
  std::vector<std::unique_ptr<Objective>> out;
  out.push_back(std::make_unique<FlowObjective>(state));
  if (state.config.train.dispersive > 0) out.push_back(std::make_unique<DispersiveObjective>(state));
  if (target) out.push_back(align_with(state, target));
  if (state.config.align.with_itself()) out.push_back(align_with_itself(state));
  if (!state.student.head) return out;
  const bool two = state.config.cluster.views == cluster::Views::kTwo;
  out.push_back(two ? two_views(state, images) : one_view(state, images));
  return out;
}

// Of a rank's `size` images, those that go through the network together.
int64_t images_at_once(const recipe::TrainOptions& train, const at::Device& device, int64_t size) {
  if (device.is_cpu()) return std::min(size, shard_images(train));
  return train.micro_batch > 0 ? std::min(size, train.micro_batch) : size;
}

// The trained network's bf16 weights hold for one step.
class CastsOfTheStep {
 public:
  explicit CastsOfTheStep(Precision precision) : any_(precision == Precision::kBf16) {}
  ~CastsOfTheStep() {
    if (any_) forget_casts();
  }
  CastsOfTheStep(const CastsOfTheStep&) = delete;
  CastsOfTheStep& operator=(const CastsOfTheStep&) = delete;

 private:
  bool any_;
};

// What sampling draws from when the data set is gone.
void save_stored(const network::StoredConditions& all, tensors::TensorFile& file) {
  const auto some = all.some();
  if (some.values.defined()) file.tensors["stored.values"] = some.values;
  if (some.maps.defined()) file.tensors["stored.maps"] = some.maps;
  if (some.weights.defined()) file.tensors["stored.weights"] = some.weights;
  file.metadata["stored_classes"] = std::to_string(some.classes);
  file.metadata["stored_map_channels"] = std::to_string(some.map_channels);
}

}  // namespace

Learner::Learner(const recipe::RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes,
                 int64_t images, Reducer& reducer, const std::shared_ptr<const network::StoredConditions>& stored,
                 const std::shared_ptr<const AlignmentTarget>& target)
    : Learner(config, device, ids, classes, training_network(config, classes, device, stored, target.get()),
              training_network(config, classes, device, stored, target.get()), {}, images, reducer, target) {}

Learner::Learner(const recipe::RunConfig& config, const at::Device& device, const Tensor& ids, int64_t classes,
                 network::Network student, network::Network teacher, DrawFn draws, int64_t images, Reducer& reducer,
                 const std::shared_ptr<const AlignmentTarget>& target)
    : state_(config, device, std::move(student), std::move(teacher), reducer),
      draws_(draws ? std::move(draws) : counter_draws(config, state_.student.model->patch_tokens(), device)),
      optimizer_(optimizer_of(state_)),
      averages_(state_),
      objectives_(make_objectives(state_, images, target)) {
  const auto facts = recipe::facts_of(config);
  SDG_CHECK(static_cast<bool>(target) == config.align.with_another(), "align.extractor ", config.align.extractor,
            target ? ": nothing is to be aligned" : ": the network to align with is not there");
  SDG_CHECK(!facts.given || (ids.defined() && (classes > 0 || state_.teacher.stored)), "condition source ",
            config::name(config.condition.source), " needs an index per image");
  const auto patches = network::patch_level(config) ? state_.student.model->patch_tokens() : 0;
  if (!state_.teacher.stored) prior_ = ConditionPrior(facts.online ? config.cluster.clusters : classes, patches);
  if (ids.defined()) set_ids(ids);
  if (config.train.graph == Graph::kCuda) record_passes(recordings_for(device, "train.graph"));
}

void Learner::set_ids(const Tensor& ids) {
  ids_ = ids;
  if (!state_.teacher.stored) prior_.count_all(ids_);
}

bool Learner::conditioned() const {
  const auto facts = recipe::facts_of(state_.config);
  return state_.conditioned() && (!facts.indices || ids_.defined());
}

Tensor Learner::prior() const {
  if (state_.steps_done <= state_.beginnings.conditions()) return {};
  return state_.teacher.stored ? cluster::label_prior(state_.teacher.stored->frequencies()) : prior_.value();
}

Shard Learner::shard_of(const data::Batch& batch, int64_t number, int64_t first, int64_t count, int64_t whole) const {
  const auto part = [&](const std::vector<int64_t>& all) {
    return std::vector<int64_t>(all.begin() + first, all.begin() + first + count);
  };
  Shard shard;
  shard.number = number;
  shard.batch = whole;
  shard.index = part(batch.index);
  shard.no_waiting = state_.no_waiting;
  shard.x = data::values_on(state_.device, batch, first, count);  // [n, C, S, S]
  shard.sample = part(batch.sample);
  shard.draws = draws_(shard.sample, shard.x.sizes().slice(1));
  shard.forward.dropout =
      std::make_shared<model::DropoutDraw>(model::DropoutDraw{seed_of(state_.config), shard.sample});
  return shard;
}

// What is told of images that have an index is known before they are looked at.
void Learner::look_up(Shard& shard) const {
  shard.told = network::unconditional_for(state_.config);
  if (!conditioned() || !recipe::facts_of(state_.config).indices) return;
  auto rows = ids_.index_select(0, at::tensor(shard.index));
  if (state_.teacher.stored)
    rows = state_.teacher.stored->rows_for(rows, {seed_of(state_.config), rng::Purpose::kNeighbour, 0}, shard.sample);
  shard.ids = to_device(rows, state_.device);
  // Stored conditions are looked up where they lie.
  const auto drop = shard.draws.drop.to(state_.device);
  shard.told = network::condition_for(state_.config, state_.teacher, state_.teacher.stored ? rows : shard.ids, drop);
}

// The shard through the networks, forward and backward.
RecordedPasses::Computed Learner::compute(Shard& shard, const std::vector<Objective*>& objectives) const {
  for (auto* objective : objectives) objective->before_pass(shard);
  auto condition = shard.told;
  if (conditioned() && !recipe::facts_of(state_.config).indices) {
    const auto drop = shard.draws.drop.to(state_.device);
    condition = shard.tokens.defined() ? model::Condition::given(shard.tokens, drop)
                                       : network::condition_for(state_.config, state_.teacher, shard.ids, drop);
  }
  const bool told = condition.mode == model::Condition::Mode::kGiven;
  if (told) condition.strength = guided_.strength(shard);
  const auto& network = state_.student;
  const auto& train = state_.config.train;
  shard.point =
      network.predictions.training_point(shard.x, shard.draws.eps.to(state_.device), shard.draws.t.to(state_.device),
                                         train.loss_on, train.loss_floor, train.snr_cap);
  if (told) guided_.aim(shard, condition);
  shard.output = network.forward(shard.point.input, shard.point.time, condition, shard.forward);
  RecordedPasses::Computed out;
  {
    const BackwardScope backward(train.precision, state_.device);
    for (auto* objective : objectives) out.push_back(objective->after_pass(shard));
  }
  shard.output = {};  // the graph goes with it, but for what an objective has kept
  return out;
}

void Learner::pass(Shard& shard, const std::vector<Objective*>& objectives) {
  look_up(shard);
  const auto compute_it = [&](Shard& it) { return compute(it, objectives); };
  auto computed = recorded_ ? (*recorded_)(shard, {conditioned(), state_.clustering(), guided_.active()}, compute_it)
                            : compute_it(shard);
  for (size_t i = 0; i < objectives.size(); ++i) objectives[i]->take(shard, std::move(computed[i]));
}

void Learner::record_passes(MakeRecording make) {
  const auto why_not = why_not_recorded(state_.config);
  if (!why_not.empty()) return log::warning(cat("train.graph: passes are not recorded: ", why_not));
  recorded_ = std::make_unique<RecordedPasses>(std::move(make));
}

StepResult Learner::step(const data::Batch& batch) {
  std::vector<Objective*> objectives;
  for (const auto& each : objectives_) {
    if (each->active()) objectives.push_back(each.get());
  }
  auto& reducer = state_.reducer;
  const int64_t size = batch.x.size(0), shard_size = images_at_once(state_.config.train, state_.device, size);
  state_.shards = step_shards(batch.sample, shard_size, reducer);
  divide_average(state_);
  whole_exp_avg_ = whole_exp_avg_sq_ = Tensor();
  std::vector<Tensor> ids(static_cast<size_t>((size + shard_size - 1) / shard_size));
  for (auto* objective : objectives) objective->begin(static_cast<int64_t>(ids.size()));
  Undo undo(objectives);
  const CastsOfTheStep casts(state_.config.train.precision);
  const auto count = static_cast<int64_t>(ids.size());
  const bool in_turn = !recorded_ && (count == 1 || !state_.device.is_cpu());
  const auto pass_one = [&](int64_t number) {
    const int64_t first = number * shard_size;
    auto shard = shard_of(batch, number, first, std::min(shard_size, size - first), state_.shards.images);
    shard.last = in_turn && number + 1 == count;
    pass(shard, objectives);
    ids[static_cast<size_t>(number)] = shard.ids;
  };
  if (recorded_) {
    for (int64_t number = 0; number < count; ++number) pass_one(number);
  } else {
    in_parallel(state_.device, count, pass_one);
  }

  StepResult result;
  result.conditioned = conditioned();
  result.resting = state_.resting();
  if (ids.front().defined()) result.ids = at::cat(ids);
  std::vector<Contribution> contributions;
  try {
    for (auto* objective : objectives) {
      contributions.push_back(objective->join(result));
      result.objective = result.objective.plus(contributions.back().loss);
    }
    result.gradient = contributions.front().gradient;
    for (size_t i = 1; i < contributions.size(); ++i) {
      const auto& [loss, gradient, begin] = contributions[i];
      if (gradient.defined()) result.gradient.narrow(0, begin, gradient.size(0)).add_(gradient);
    }
    step_weights(result, contributions);
  } catch (const RankError&) {
    throw;
  } catch (const Error& error) {
    throw BadStep(bad_step(error.what() + bad_gradient(result.gradient, objectives, contributions)));
  }
  // From here on nothing can go wrong any more: the step counts.
  undo.keep();
  update_teacher(state_, result.bad);
  averages_.follow(state_, result.bad);
  if (recipe::facts_of(state_.config).online && result.ids.defined() && !state_.teacher.stored) {
    if (result.bad.defined()) {
      prior_.see_unless(result.bad, result.ids);
    } else {
      prior_.see(gather_in_order(result.ids, state_.shards.sizes, state_.shards, reducer));
    }
  }
  for (auto* objective : objectives) objective->keep(batch, result);
  ++state_.steps_done;
  if (result.bad.defined()) ++unsettled_;
  return result;
}

void Learner::step_weights(StepResult& result, const std::vector<Contribution>& contributions) {
  result.lr = learning_rate(state_.config.train, state_.steps_done, state_.student.model->dim());
  auto& values = state_.flat.values();
  const HeadAtRest head(state_.resting() ? values.slice(0, state_.model_size) : Tensor());
  if (state_.no_waiting) return update_unless_bad(result, contributions);
  const auto own = state_.stepped();
  result.grad_norm = optimizer_.step(values.narrow(0, own.begin, own.size()), result.gradient, result.lr);
  if (state_.sharded) gather_slices(values, values.narrow(0, own.begin, own.size()), state_.slices, state_.reducer);
}

network::Network& Learner::teacher() {
  SDG_CHECK(state_.teacher_flat.held(), "the average lies on all ranks in parts: gather_teacher() first");
  return state_.teacher;
}

std::map<std::string, Tensor> Learner::gather_averages() {
  averages_.gather(state_);
  return state_.reducer.rank() == 0 ? averages_.of_network(state_) : std::map<std::string, Tensor>();
}

void Learner::gather_state() {
  gather_teacher(false);
  averages_.gather(state_);
  if (!state_.sharded) return;
  whole_exp_avg_ = gather_on_first(optimizer_.exp_avg, state_.slices, state_.reducer);
  whole_exp_avg_sq_ = gather_on_first(optimizer_.exp_avg_sq, state_.slices, state_.reducer);
}

void Learner::save(tensors::TensorFile& file) const {
  SDG_CHECK(unsettled_ == 0, "step ", state_.steps_done, ": steps were not settled before they are saved");
  SDG_CHECK(
      state_.flat.values().isfinite().all().item<bool>(), "step ", state_.steps_done,
      ": the optimizer made weights that are not finite; no checkpoint was written, the earlier ones are as they were");
  SDG_CHECK(!state_.sharded || (whole_exp_avg_.defined() && state_.teacher_flat.held()),
            "saving needs what all ranks have: gather_state() first, and only rank 0 saves");
  file.tensors.merge(state_.student.tensors("model."));
  file.tensors.merge(state_.teacher.tensors("ema."));
  const auto moments = [&](const Tensor& all, const std::string& prefix) {
    for (auto& [name, view] : state_.flat.named_views(all)) file.tensors[prefix + name] = view;
  };
  moments(state_.sharded ? whole_exp_avg_ : optimizer_.exp_avg, "optimizer.exp_avg.");
  moments(state_.sharded ? whole_exp_avg_sq_ : optimizer_.exp_avg_sq, "optimizer.exp_avg_sq.");
  file.tensors["optimizer.step"] = optimizer_.steps_done;
  averages_.save(state_, file);
  prior_.save(file);
  if (recipe::facts_of(state_.config).given && state_.teacher.stored) save_stored(*state_.teacher.stored, file);
  for (const auto& objective : objectives_) objective->save(file);
  if (keeps_ids() && ids_.defined()) file.tensors["ids"] = ids_;
  state_.beginnings.save(file, state_.steps_done);
  file.metadata["step"] = std::to_string(state_.steps_done);
}

void Learner::load(const tensors::TensorFile& file, const std::string& where) {
  renew_average(state_);
  state_.student.load(file.tensors, "model.", where);
  state_.teacher.load(file.tensors, "ema.", where);
  state_.student.check_finite("model.", where);
  state_.teacher.check_finite("ema.", where);
  const auto moments = [&](Tensor& own, const std::string& prefix) {
    auto all = state_.sharded ? at::empty_like(state_.flat.values(), at::kCPU) : own;
    for (auto& [name, view] : state_.flat.named_views(all)) restore(view, file, prefix + name, where);
    const auto part = state_.stepped();
    if (state_.sharded) own.copy_(all.narrow(0, part.begin, part.size()));
  };
  moments(optimizer_.exp_avg, "optimizer.exp_avg.");
  moments(optimizer_.exp_avg_sq, "optimizer.exp_avg_sq.");
  restore(optimizer_.steps_done, file, "optimizer.step", where);
  averages_.load(state_, file, where);
  prior_.load(file, where);
  state_.steps_done = std::stoll(file.metadata.at("step"));
  state_.beginnings.load(file, where, state_.steps_done);
  for (const auto& objective : objectives_) objective->load(file, where);
  if (keeps_ids() && file.tensors.count("ids")) set_ids(file.tensors.at("ids"));
}

// Indices that training itself makes are part of its state.
bool Learner::keeps_ids() const {
  const auto facts = recipe::facts_of(state_.config);
  return facts.indices && !facts.given;
}

}  // namespace sdg::learn
