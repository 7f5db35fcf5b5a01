#include "sdg/run/trainer.h"

#include <chrono>
#include <cmath>
#include <optional>

#include <torch/version.h>

#include "checkpoint/run_figures.h"
#include "run/alignment_target.h"
#include "run/alike.h"
#include "run/change_report.h"
#include "run/distance_watch.h"
#include "run/out_of_memory.h"
#include "run/run_log.h"
#include "run/run_pictures.h"
#include "run/supply.h"
#include "run/unread_figures.h"
#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/average_snapshots.h"
#include "sdg/checkpoint/checkpoint.h"
#include "sdg/checkpoint/recovery.h"
#include "sdg/cluster/collapse.h"
#include "sdg/conditions/recluster.h"
#include "sdg/config/write.h"
#include "sdg/convert/initial_weights.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/text.h"
#include "sdg/core/version.h"
#include "sdg/io/atomic_file.h"
#include "sdg/io/folder_lock.h"
#include "sdg/learn/own_images.h"
#include "sdg/recipe/resume_rules.h"
#include "sdg/recipe/source.h"
#include "sdg/study/cluster_study.h"

namespace sdg::run {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

at::Device device_of(const recipe::RunConfig& config) {
  const auto device = parse_device(config.device);
  if (config.train.deterministic) only_deterministic(device);
  return device;
}

/// The run while it lasts: learner, logs, pictures, checkpoints.
class Run {
 public:
  Run(const recipe::RunConfig& config, const checkpoint::RunFolder& folder, const Observer& observer, Reducer& reducer)
      : config_(config),
        folder_(folder),
        observer_(observer),
        reducer_(reducer),
        device_(device_of(config)),
        recovery_(checkpoint::find_recovery(folder)),
        before_(recovery_ ? std::optional(read_before(config, folder, recovery_->checkpoint)) : std::nullopt),
        supply_(open_supply(config, folder, device_, observer.on_event, before_ ? &*before_ : nullptr, reducer)),
        learner_(config, device_, supply_.given.ids, supply_.given.classes, supply_.dataset->size(), reducer,
                 supply_.given.stored, alignment_target(config, supply_.opened, device_)),
        distance_(config, supply_, device_, observer.on_event, reducer) {
    check_alike("checkpoint to go on from (all must see the run's folder)",
                recovery_ ? recovery_->checkpoint.filename().string() : "none", reducer);
  }

  Outcome execute() {
    Outcome outcome;
    outcome.resumed = recovery_.has_value();
    bool owed = false, distance_owed = false;
    if (recovery_) {
      restore();
      owed = pictures_owed();
      distance_owed = measurement_owed();
      outcome.idle = learner_.steps_done() >= config_.train.steps && !owed && !distance_owed;
      if (outcome.idle) {
        say_notes();
        return ended(outcome);
      }
    } else if (!config_.model.weights.empty()) {
      begin_with(convert::start_from(learner_.student(), config_.model.weights, config_.model.weights_match));
    }
    if (!recovery_ && std::filesystem::exists(folder_.metrics()))
      notes_.push_back(cat(folder_.root().string(), ": holds no checkpoint; what metrics.jsonl held is kept as .bak"));
    begin_stage();
    if (device_.is_cpu() &&
        !learn::in_whole_shards(config_.train.batch, learn::shard_images(config_.train), device_, reducer_.ranks()))
      notes_.push_back(cat("train.batch ", config_.train.batch, " has fewer shards of ",
                           learn::shard_images(config_.train), " images than there are ranks (", reducer_.ranks(),
                           "): what comes out equals one rank's within rounding, not to the bit"));
    reducer_.first_alone([&] {
      folder_.create();
      checkpoint::remove_snapshots_beyond(folder_, learner_.steps_done());
      write_config();
      start_message(outcome.resumed);
      say_notes();  // after the log file is open, so that they are told there too
      log_ = std::make_unique<RunLog>(folder_, learner_.steps_done());
    });
    // The run was ended after the checkpoint and before them.
    if (distance_owed && measure()) save(/*lowest=*/true);
    if (owed) pictures();

    if (learner_.steps_done() < config_.train.steps) {
      data::Loader loader(
          *supply_.dataset,
          {config_.train.batch, recipe::seed_of(config_), config_.data.flip, std::max<int64_t>(1, config_.data.threads),
           2, order(), learn::own_images(config_.train.batch, learn::shard_images(config_.train), device_, reducer_),
           /*for_device=*/!learner_.waits() && device_.is_cuda()},
          samples_done_);
      do one_step(loader);
      while (learner_.steps_done() < config_.train.steps && !stop_asked());
    }
    const bool finished = learner_.steps_done() >= config_.train.steps;
    if (saved_at_ != learner_.steps_done()) save();
    if (finished && pictured_at_ != learner_.steps_done()) pictures();
    return ended(outcome);
  }

 private:
  Outcome ended(Outcome outcome) const {
    outcome.step = learner_.steps_done();
    outcome.finished = outcome.step >= config_.train.steps;
    outcome.checkpoint = folder_.last();
    return outcome;
  }

  void say_notes() const {
    for (const auto& note : notes_) log::warning(note);
    for (const auto& note : supply_.notes) {
      if (observer_.on_event) observer_.on_event(note);
    }
  }

  // Whichever rank is asked, all stop after the same step.
  bool stop_asked() const { return reducer_.max(observer_.stop && observer_.stop() ? 1 : 0) > 0; }

  bool pictures_due() const {
    const int64_t step = learner_.steps_done(), every = config_.train.picture_every;
    return step > 0 && (step >= config_.train.steps || (every > 0 && step % every == 0));
  }
  bool pictures_owed() {
    if (!pictures_due()) return false;
    const bool missing =
        reducer_.rank() == 0 &&
        pictures_missing(folder_, supply_, static_cast<bool>(learner_.teacher().head), learner_.steps_done());
    return reducer_.max(missing ? 1 : 0) > 0;
  }

  // Both copies begin alike.
  void begin_with(const convert::InitialWeights& weights) {
    learner_.teacher().load(learner_.student().tensors(""), "", weights.source);
    initial_weights_ = weights.source;
    initial_class_conditional_ = weights.provenance.verdict() == checkpoint::Verdict::kNo;
    if (observer_.on_event) observer_.on_event(to_text(weights));
    if (initial_class_conditional_ && !recipe::facts_of(config_).labels)
      log::warning(cat(weights.source, ": was trained on labels: what is learned from it is not label-free"));
    history_.inherit(weights.provenance, "initial weights " + weights.source);
  }

  // What was done before stays in the chain, whatever the run goes on with.
  void begin_stage() {
    if (before_) history_ = checkpoint::provenance_of(*before_);
    if (history_.empty()) history_.add(checkpoint::random_start_stage());
    if (const auto& latents = supply_.opened.latents) {
      history_.add(checkpoint::latents_stage(latents->card()));
      history_.inherit(
          checkpoint::parse_provenance({{checkpoint::kProvenanceKey, latents->card().provenance}}, supply_.opened.path),
          "latents");
    }
    if (config_.align.with_another() && config_.align.weight > 0)
      history_.add(checkpoint::alignment_stage(config_.align));
    const auto& origin = supply_.given.origin;
    history_.inherit(origin.provenance, "conditions");
    stage_ = checkpoint::condition_stage(config_, origin.made_from, checkpoint::parse_verdict(origin.label_free));
    stage_.key = supply_.given.key;
    stage_begin_ = learner_.steps_done();
  }

  // A run keeps the one it began with.
  data::OrderKind order() const { return before_ ? before_->order : data::order_kind(supply_.dataset->size()); }

  void one_step(data::Loader& loader) {
    if (conditions::recluster_due(config_, learner_.change_at(), learner_.steps_done())) cluster_again();
    reducer_.at(cat("step ", learner_.steps_done() + 1));
    const auto start = Clock::now();
    const auto batch = loader.next();
    StepReport report;
    or_tell([&] { report.result = learner_.step(batch); });
    samples_done_ += config_.train.batch;
    report.step = learner_.steps_done();
    report.steps = config_.train.steps;
    report.read = learner_.waits() || pictures_due() || distance_.due(report.step) ||
                  reading_due(config_.train, report.step, learner_.change_at()) ||
                  checkpoint::snapshot_due(config_.average, report.step);
    if (report.read) or_tell([&] { learner_.settle(); });
    unread_.add(report.result, config_.train.batch, seconds_since(start));
    if (report.read) unread_.read(figures_);
    report.smooth_loss = figures_.smooth_loss();
    report.images_per_second = unread_.images_per_second();
    report.measured = measured_;
    watch_clusters(report);
    say_of_change(report, config_, learner_.change_at(), observer_.on_event);
    if (checkpoint::snapshot_due(config_.average, report.step)) snapshot();
    if (log_ && log_due(config_.train, report.step)) log_->write(report);
    if (observer_.on_step) observer_.on_step(report);
    // Who asks for an end need not wait for measurements and pictures: they are made when the run goes on.
    const bool lowest = distance_.due(report.step) && (report.step >= report.steps || !stop_asked()) && measure();
    if (lowest || report.step % config_.train.save_every == 0) save(lowest);
    if (report.step < report.steps && pictures_due() && !stop_asked()) pictures();
  }

  bool measurement_owed() {
    const bool missing = reducer_.rank() == 0 && distance_.due(learner_.steps_done()) &&
                         !io::JsonLines(folder_.metrics()).holds(learner_.steps_done(), distance_.name());
    return reducer_.max(missing ? 1 : 0) > 0;
  }

  // Is the distance of now the lowest so far? Rank 0 decides for all.
  bool measure() {
    reducer_.at(cat("measurement after step ", learner_.steps_done()));
    learner_.gather_teacher(/*on_all=*/true);
    measured_ = distance_.measure(learner_, figures_);
    if (log_ && measured_) {
      log_->write(measured_->step, {{measured_->name, measured_->value}}, "eval/");
      if (observer_.on_event) observer_.on_event(to_text(*measured_, figures_));
    }
    return reducer_.max(log_ && measured_ && measured_->lowest ? 1 : 0) > 0;
  }

  void or_tell(const std::function<void()>& work) {
    telling(config_, reducer_.ranks(), learner_.steps_done() + 1, saved_at_, work);
  }

  // A single step proves nothing: the warning waits for the smoothed loss, and is said once a stretch of steps.
  void watch_clusters(const StepReport& report) {
    if (!report.read || !report.result.sinkhorn || report.step % kPatience != 0) return;
    const auto warning =
        cluster::collapse_warning(cluster::cluster_health(*report.result.sinkhorn, figures_.cluster_loss()));
    if (!warning.empty()) log::warning(cat("step ", report.step, ": ", warning));
  }

  void cluster_again() {
    const auto before = learner_.ids();
    reducer_.at(cat("clustering before step ", learner_.steps_done() + 1));
    learner_.gather_teacher(/*on_all=*/true);
    learner_.set_ids(conditions::recluster(config_, learner_.teacher(), *supply_.dataset, device_, before, reducer_));
    if (!observer_.on_event) return;
    std::string message = cat("step ", learner_.steps_done(), ": clustered anew");
    if (before.defined())
      message +=
          cat("; ", std::round(1000 * study::churn(before, learner_.ids())) / 10, " % of the images changed cluster");
    observer_.on_event(message);
  }

  void pictures() {
    pictured_at_ = learner_.steps_done();
    learner_.gather_teacher(/*on_all=*/false);
    reducer_.first_alone([&] {
      const auto message = write_pictures(config_, folder_, supply_, learner_, device_, *log_);
      if (observer_.on_event && !message.empty()) observer_.on_event(message);
    });
  }

  void snapshot() {
    const auto averages = learner_.gather_averages();
    reducer_.first_alone([&] { checkpoint::save_snapshot(folder_, averages, learner_.steps_done(), config_.average); });
  }

  void save(bool lowest = false) {
    or_tell([&] { learner_.settle(); });
    unread_.read(figures_);
    learner_.gather_state();
    reducer_.first_alone([&] { write_checkpoint(lowest); });
    saved_at_ = learner_.steps_done();
  }

  void write_checkpoint(bool lowest) {
    const int64_t step = learner_.steps_done();
    tensors::TensorFile file;
    learner_.save(file);
    checkpoint::CheckpointInfo info;
    info.config = config_;
    info.step = step;
    info.samples = samples_done_;
    info.changes = changes_;
    info.classes = supply_.given.classes;
    info.class_names = supply_.given.class_names;
    info.data = supply_.opened.description;
    if (supply_.opened.latents) info.latents = supply_.opened.latents->card();
    info.labels_read = recipe::facts_of(config_).labels || (before_ && before_->labels_read);
    info.fingerprint = supply_.fingerprint;
    info.order = order();
    info.conditions = supply_.given.key;
    info.provenance = history_;
    info.provenance.trained(stage_, stage_begin_, step);
    info.initial_weights = initial_weights_;
    info.initial_class_conditional = initial_class_conditional_;
    info.pseudo_labels_from = supply_.given.origin.made_from;
    info.pseudo_labels_free = supply_.given.origin.label_free;
    checkpoint::describe(file, info);
    figures_.save(file);
    folder_.save(file, step, lowest, config_.train.keep);
  }

  void restore() {
    const auto where = recovery_->checkpoint.string();
    const auto file = tensors::read_tensors(recovery_->checkpoint);
    initial_weights_ = before_->initial_weights;
    initial_class_conditional_ = before_->initial_class_conditional;
    samples_done_ = before_->samples;
    changes_ = before_->changes;
    const auto changes = recipe::resume_changes(before_->config, config_);
    if (!changes.said.empty()) {
      said_ = cat("step ", before_->step, ": ", join(changes.said));
      changes_.push_back(said_);
    }
    learner_.load(file, where);
    figures_.load(file, where);
    saved_at_ = learner_.steps_done();
    reducer_.sum(int64_t{0});  // not before all have read what is there
    reducer_.first_alone([&] {
      notes_ = checkpoint::settle(folder_, *recovery_);
      if (config_.eval.every > 0 && figures_.measure_by(distance_.protocol()))
        notes_.push_back("distances are measured otherwise than before: which one is the lowest is found anew");
      const auto note = checkpoint::settle_lowest(folder_, *recovery_, figures_);
      if (!note.empty()) notes_.push_back(note);
    });
  }

  void write_config() {
    auto config = config_;
    const auto text = config::to_yaml(config::Fields::of(config));
    io::write_atomically(folder_.config(), [&](std::ostream& out) { out << text; });
  }

  void start_message(bool resumed) {
    if (observer_.on_start)
      observer_.on_start(cat(supply_.opened.description, "; ", config_.model.name, ", condition ",
                             config::name(config_.condition.source),
                             resumed ? cat("; going on at step ", learner_.steps_done()) : std::string()));
    if (!said_.empty() && observer_.on_event) observer_.on_event(cat("changed from ", said_));
  }

  recipe::RunConfig config_;
  checkpoint::RunFolder folder_;
  const Observer& observer_;
  Reducer& reducer_;
  at::Device device_;
  std::optional<checkpoint::Recovery> recovery_;      // what the folder holds to go on from
  std::optional<checkpoint::CheckpointInfo> before_;  // of the run that goes on
  Supply supply_;
  learn::Learner learner_;
  DistanceWatch distance_;
  std::optional<Measured> measured_;
  std::unique_ptr<RunLog> log_;
  checkpoint::RunFigures figures_;
  UnreadFigures unread_;
  int64_t samples_done_ = 0;          // images trained on, repeated ones counted again
  std::vector<std::string> changes_;  // of options, while the run went on
  std::string said_;                  // the one of this start
  std::string initial_weights_;
  bool initial_class_conditional_ = false;
  std::vector<std::string> notes_;  // on what was found in the folder
  checkpoint::Provenance history_;  // up to where this process began
  checkpoint::Stage stage_;         // what it does since
  int64_t stage_begin_ = 0;
  int64_t saved_at_ = -1, pictured_at_ = -1;
};

}  // namespace

Outcome train(const recipe::RunConfig& config, const checkpoint::RunFolder& folder, const Observer& observer,
              Reducer& reducer) {
  check_alike("program", cat("sdg ", version(), ", LibTorch ", TORCH_VERSION), reducer);
  auto shown = config;
  check_alike("configuration", config::to_yaml(config::Fields::of(shown)), reducer);
  learn::own_images(config.train.batch, learn::shard_images(config.train), at::kCPU, reducer);  // throws where too few
  std::optional<io::FolderLock> lock;
  reducer.first_alone([&] {
    lock.emplace(folder.root(), "sdg train");
    if (lock->held()) folder.remove_temporaries();
  });
  Run run(config, folder, observer, reducer);
  return run.execute();
}

}  // namespace sdg::run
