#include "sdg/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>

#include "sdg/cluster/collapse.h"
#include "sdg/config/value.h"
#include "sdg/config/write.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/rng.h"
#include "sdg/io/atomic_file.h"
#include "sdg/io/event_file.h"
#include "sdg/io/image.h"
#include "sdg/io/json_lines.h"
#include "sdg/train/assign.h"
#include "sdg/train/audit.h"
#include "sdg/train/checkpoint.h"
#include "sdg/train/cluster_study.h"
#include "sdg/train/initial_weights.h"
#include "sdg/train/offline_kmeans.h"
#include "sdg/train/pictures.h"
#include "sdg/train/pseudo_labels.h"
#include "sdg/train/recluster.h"

namespace sdg::train {
namespace {

using Clock = std::chrono::steady_clock;

// A run may go on with these changed: they say how long it lasts and what is reported, not what is learned.
bool may_change(const std::string& key) {
  static const std::set<std::string> free_keys{
      "device",          "data.threads",        "data.cache_mb",    "data.path",  "data.autoencoder",  "train.steps",
      "train.log_every", "train.picture_every", "train.save_every", "train.keep", "cluster.early_exit"};
  return free_keys.count(key) || key.rfind("sample.", 0) == 0 || key.rfind("eval.", 0) == 0;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The training data, and the index of each image where the condition is one.
struct Supply {
  data::OpenedData opened;
  std::unique_ptr<data::Dataset> dataset;
  Tensor ids;
  int64_t classes = 0;
  std::vector<std::string> class_names;
  PseudoLabelOrigin origin;  // source kmeans and file
  ToImages to_images;        // of latents
  bool pictures = true;      // can what is drawn be shown
};

Tensor pseudo_labels(const RunConfig& config, const RunFolder& folder, const data::Dataset& dataset,
                     const at::Device& device, const Observer& observer) {
  const auto stored = folder.pseudo_labels();
  if (std::filesystem::exists(stored)) return io::read_tensors(stored).at("ids", stored.string());
  const auto source = load_trained(find_checkpoint(config.condition.run, ""), device);
  if (observer.on_event)
    observer.on_event(cat("clustering the features of ", source.path, " into ", config.cluster.clusters));
  auto tap = source.info.config;
  tap.cluster = config.cluster;  // where to tap is this run's choice, the network is the other's
  const auto features = extract_features(tap, source.network, dataset, rng::indices(0, dataset.size()), device);
  OfflineKmeans how;
  how.kmeans.clusters = config.cluster.clusters;
  how.kmeans.seed = seed_of(config);
  const auto labels = cluster_features(features, how);
  folder.create();
  io::write_tensors(stored, pseudo_label_file(labels, {source.path, to_string(audit(source.info).label_free),
                                                       tap_text(tap, feature_depth(tap, *source.network.model))}));
  return labels.ids;
}

Supply open_supply(const RunConfig& config, const RunFolder& folder, const at::Device& device,
                   const Observer& observer) {
  Supply supply;
  supply.opened = data::open_data(config.data, config.config_dir);
  supply.dataset = std::make_unique<data::Dataset>(supply.opened, config.data);
  if (const auto& latents = supply.opened.latents) {
    supply.pictures = config.train.picture_every > 0;  // else nobody needs the autoencoder
    if (supply.pictures)
      supply.to_images = decode_with(load_decoder(latents->card(), config.data.autoencoder, device), device);
  }
  const auto& source = config.condition.source;
  const bool clusters = source == "online" || source == "kmeans" || source == "recluster";
  SDG_CHECK_USAGE(!clusters || config.cluster.clusters <= supply.dataset->size(),
                  "cluster.clusters: ", config.cluster.clusters, " clusters of a data set of ", supply.dataset->size(),
                  " images");
  if (source == "label") {
    SDG_CHECK_USAGE(supply.opened.labels, "condition.source: label needs a data set with classes; ",
                    supply.opened.description, " has none");
    supply.ids = supply.opened.labels->labels();
    supply.class_names = supply.opened.labels->class_names();
    supply.classes = static_cast<int64_t>(supply.class_names.size());
  } else if (source == "kmeans") {
    supply.ids = pseudo_labels(config, folder, *supply.dataset, device, observer);
    supply.origin = pseudo_label_origin(folder.pseudo_labels());
    supply.classes = config.cluster.clusters;
  } else if (source == "recluster") {
    supply.classes = config.cluster.clusters;
  } else if (source == "file") {
    supply.ids = read_indices(config.condition.file, supply.dataset->size());
    supply.origin = pseudo_label_origin(config.condition.file);
    supply.classes = supply.ids.max().item<int64_t>() + 1;
  }
  return supply;
}

/// The run while it lasts: learner, logs, pictures, checkpoints.
class Run {
 public:
  Run(const RunConfig& config, const RunFolder& folder, const Observer& observer)
      : config_(config),
        folder_(folder),
        observer_(observer),
        device_(parse_device(config.device)),
        supply_(open_supply(config, folder, device_, observer)),
        learner_(config, device_, supply_.ids, supply_.classes, supply_.dataset->size()) {}

  Outcome execute() {
    Outcome outcome;
    outcome.resumed = folder_.has_checkpoint();
    if (outcome.resumed) {
      restore();
    } else if (!config_.model.weights.empty()) {
      begin_with(start_from(learner_.student(), config_.model.weights));
    }
    folder_.create();
    write_config();
    start_message(outcome.resumed);
    lines_ = std::make_unique<io::JsonLines>(folder_.metrics(), learner_.steps_done());
    events_ = std::make_unique<io::EventWriter>(folder_.tensorboard());

    bool stopped = false;
    if (learner_.steps_done() < config_.train.steps) {
      data::Loader loader(
          *supply_.dataset,
          {config_.train.batch, seed_of(config_), config_.data.flip, std::max<int64_t>(1, config_.data.threads), 2},
          learner_.steps_done());
      while (learner_.steps_done() < config_.train.steps && !stopped) {
        one_step(loader);
        stopped = observer_.stop && observer_.stop();
      }
    }
    const bool finished = learner_.steps_done() >= config_.train.steps;
    if (saved_at_ != learner_.steps_done()) save(/*scheduled=*/finished);
    if (finished && pictured_at_ != learner_.steps_done()) pictures();
    outcome.step = learner_.steps_done();
    outcome.finished = finished;
    outcome.checkpoint = folder_.last();
    return outcome;
  }

 private:
  // Both copies begin alike.
  void begin_with(const InitialWeights& weights) {
    learner_.teacher().load(learner_.student().tensors(""), "", weights.source);
    initial_weights_ = weights.source;
    initial_class_conditional_ = weights.class_conditional;
    if (observer_.on_event) observer_.on_event(to_text(weights));
    if (weights.class_conditional && config_.condition.source != "label")
      log::warning(cat(weights.source, ": was trained on labels: what is learned from it is not label-free"));
  }

  void one_step(data::Loader& loader) {
    if (recluster_due(config_, learner_.steps_done())) cluster_again();
    const auto start = Clock::now();
    const auto batch = loader.next();
    StepReport report;
    report.result = learner_.step(batch);
    report.step = learner_.steps_done();
    report.steps = config_.train.steps;
    follow_loss(report.result.flow_loss);
    report.smooth_loss = smooth_loss();
    const double rate = static_cast<double>(config_.train.batch) / seconds_since(start);
    rate_ = rate_ > 0 ? 0.9 * rate_ + 0.1 * rate : rate;
    report.images_per_second = rate_;
    watch_clusters(report);
    watch_change(report);
    if (report.step == 1 || report.step % config_.train.log_every == 0 || report.step == report.steps)
      write_metrics(report);
    if (observer_.on_step) observer_.on_step(report);
    if (report.step % config_.train.save_every == 0) save(/*scheduled=*/true);
    if (config_.train.picture_every > 0 && report.step % config_.train.picture_every == 0) pictures();
  }

  void follow_loss(double loss) {
    constexpr double kKeep = 0.98;
    loss_sum_ = kKeep * loss_sum_ + (1 - kKeep) * loss;
    loss_weight_ = kKeep * loss_weight_ + (1 - kKeep);
  }
  double smooth_loss() const { return loss_sum_ / loss_weight_; }

  // A single step proves nothing: the warning waits for the smoothed loss, and is said once a stretch of steps.
  void watch_clusters(const StepReport& report) {
    if (!report.result.sinkhorn) return;
    cluster_loss_ =
        cluster_loss_ == 0 ? report.result.cluster_loss : 0.98 * cluster_loss_ + 0.02 * report.result.cluster_loss;
    constexpr int64_t kPatience = 200;
    if (report.step < kPatience || report.step % kPatience != 0) return;
    const auto warning = cluster::collapse_warning(cluster::cluster_health(*report.result.sinkhorn, cluster_loss_));
    if (!warning.empty()) log::warning(cat("step ", report.step, ": ", warning));
  }

  void cluster_again() {
    const auto before = learner_.ids();
    learner_.set_ids(recluster(config_, learner_.teacher(), *supply_.dataset, device_, before));
    if (!observer_.on_event) return;
    std::string message = cat("step ", learner_.steps_done(), ": clustered anew");
    if (before.defined())
      message += cat("; ", std::round(1000 * churn(before, learner_.ids())) / 10, " % of the images changed cluster");
    observer_.on_event(message);
  }

  // What the agreement was when conditions began tells whether they can guide.
  void watch_change(const StepReport& report) {
    const auto& result = report.result;
    if (report.step != learner_.change_at() || config_.condition.source != "online") return;
    const auto begin = cat("step ", report.step, ": conditions begin");
    if (result.agreement < 0) {
      if (observer_.on_event)
        observer_.on_event(cat(begin, "; too few images were seen twice to say whether their clusters hold still"));
      return;
    }
    const auto message = cat(begin, "; ", std::round(1000 * result.agreement) / 10,
                             " % of the images keep their cluster from one look to the next");
    if (config_.condition.stable > 0 && !result.stable_now) {
      log::warning(cat(message, ", less than the ", 100 * config_.condition.stable,
                       " % asked for (condition.stable): clusters that flicker guide badly"));
    } else if (observer_.on_event) {
      observer_.on_event(message);
    }
  }

  void write_metrics(const StepReport& report) {
    io::Row row{{"loss", report.result.flow_loss},
                {"smooth_loss", report.smooth_loss},
                {"grad_norm", report.result.grad_norm},
                {"lr", report.result.lr},
                {"conditioned", report.result.conditioned ? 1.0 : 0.0}};
    if (report.result.sinkhorn) {
      row.emplace_back("cluster_loss", report.result.cluster_loss);
      row.emplace_back("used_clusters", static_cast<double>(report.result.sinkhorn->used_clusters));
      row.emplace_back("cluster_entropy", report.result.sinkhorn->entropy);
      row.emplace_back("marginal_error", report.result.sinkhorn->marginal_error);
    }
    if (report.result.agreement >= 0) row.emplace_back("agreement", report.result.agreement);
    row.emplace_back("images_per_second", report.images_per_second);
    log_row(report.step, row, "train/");
  }

  void log_row(int64_t step, const io::Row& row, const std::string& tag) {
    lines_->write(step, row);
    for (const auto& [name, value] : row) events_->scalar(tag + name, value, step);
    events_->flush();
  }

  void pictures() {
    const int64_t step = learner_.steps_done();
    pictured_at_ = step;
    const auto name = [&](const char* what) { return folder_.pictures() / cat(what, "-", step, ".png"); };
    if (!supply_.pictures) return;
    const bool latents = static_cast<bool>(supply_.to_images);  // decoding takes its time: fewer of them
    const auto sheet =
        sample_sheet(config_, learner_.teacher(), learner_.prior(), device_, latents ? 16 : 64, supply_.to_images);
    io::write_png(name("samples"), sheet);
    events_->image("samples", sheet, step);
    std::string message = cat("wrote ", name("samples").string());
    if (learner_.teacher().head) {
      const auto report = evaluate_clusters(config_, learner_.teacher(), *supply_.dataset,
                                            {supply_.opened.labels.get(), supply_.opened.masks.get()}, device_);
      constexpr int64_t kMapsShown = 32;
      const auto clusters = patch_level(config_)
                                ? overlay_sheet(report.assignments.slice(0, 0, latents ? 8 : kMapsShown),
                                                report.indices, *supply_.dataset, supply_.to_images)
                                : cluster_sheet(report, *supply_.dataset, config_.cluster.clusters, latents ? 8 : 24,
                                                latents ? 8 : 16, supply_.to_images);
      io::write_png(name("clusters"), clusters);
      events_->image("clusters", clusters, step);
      io::Row row{{"clusters_with_images", static_cast<double>(report.used)}};
      message += cat("; ", report.used, " of ", config_.cluster.clusters, " clusters hold images");
      if (report.scored) {
        row.insert(row.end(), {{"nmi", report.scores.nmi},
                               {"ami", report.scores.ami},
                               {"ari", report.scores.ari},
                               {"accuracy", report.scores.accuracy}});
        message += cat(", NMI ", std::round(report.scores.nmi * 1000) / 1000);
      }
      if (report.segmentation) {
        row.emplace_back("miou", report.segmentation->miou);
        row.emplace_back("miou_majority", report.segmentation->miou_majority);
        message += cat(", mIoU ", std::round(report.segmentation->miou * 1000) / 1000);
      }
      log_row(step, row, "clusters/");
    }
    events_->flush();
    if (observer_.on_event) observer_.on_event(message);
  }

  // Only scheduled checkpoints compete for `best`: when a run was stopped must not decide which one that is.
  void save(bool scheduled) {
    const int64_t step = learner_.steps_done();
    io::TensorFile file;
    learner_.save(file);
    CheckpointInfo info;
    info.config = config_;
    info.step = step;
    info.classes = supply_.classes;
    info.class_names = supply_.class_names;
    info.data = supply_.opened.description;
    if (supply_.opened.latents) info.latents = supply_.opened.latents->card();
    info.labels_read = config_.condition.source == "label";
    info.initial_weights = initial_weights_;
    info.initial_class_conditional = initial_class_conditional_;
    info.pseudo_labels_from = supply_.origin.made_from;
    info.pseudo_labels_free = supply_.origin.label_free;
    describe(file, info);
    const bool best = scheduled && learner_.steps_done() > 0 && smooth_loss() < best_loss_;
    if (best) best_loss_ = smooth_loss();
    file.tensors["figures"] = at::tensor({loss_sum_, loss_weight_, best_loss_, cluster_loss_}, at::kDouble);
    folder_.save(file, step, best, config_.train.keep);
    saved_at_ = step;
  }

  void restore() {
    const auto where = folder_.last().string();
    const auto file = io::read_tensors(folder_.last());
    const auto before = parse_info(file, where);
    initial_weights_ = before.initial_weights;
    initial_class_conditional_ = before.initial_class_conditional;
    const auto conflicts = conflicting_keys(before.config, config_);
    if (!conflicts.empty()) {
      std::string list = conflicts.front();
      for (size_t i = 1; i < conflicts.size(); ++i) list += ", " + conflicts[i];
      throw UsageError(
          cat(folder_.root().string(), ": holds a run of another configuration: ", list, "; choose another --run"));
    }
    learner_.load(file, where);
    const auto& figures = file.at("figures", where);
    SDG_CHECK(figures.numel() == 4 && figures.scalar_type() == at::kDouble, where, ": figures must be 4 doubles");
    const auto* values = figures.const_data_ptr<double>();
    loss_sum_ = values[0];
    loss_weight_ = values[1];
    best_loss_ = values[2];
    cluster_loss_ = values[3];
    saved_at_ = learner_.steps_done();
  }

  void write_config() {
    auto config = config_;
    const auto text = config::to_yaml(config::Fields::of(config));
    io::write_atomically(folder_.config(), [&](std::ostream& out) { out << text; });
  }

  void start_message(bool resumed) {
    if (!observer_.on_start) return;
    observer_.on_start(cat(supply_.opened.description, "; ", config_.model.name, ", condition ",
                           config_.condition.source,
                           resumed ? cat("; going on at step ", learner_.steps_done()) : std::string()));
  }

  RunConfig config_;
  RunFolder folder_;
  const Observer& observer_;
  at::Device device_;
  Supply supply_;
  Learner learner_;
  std::unique_ptr<io::JsonLines> lines_;
  std::unique_ptr<io::EventWriter> events_;
  double loss_sum_ = 0, loss_weight_ = 0, best_loss_ = std::numeric_limits<double>::infinity(), cluster_loss_ = 0;
  double rate_ = 0;
  std::string initial_weights_;
  bool initial_class_conditional_ = false;
  int64_t saved_at_ = -1, pictured_at_ = -1;
};

}  // namespace

std::vector<std::string> conflicting_keys(const RunConfig& old_config, const RunConfig& new_config) {
  auto a = old_config, b = new_config;
  const auto old_fields = config::Fields::of(a), new_fields = config::Fields::of(b);
  std::vector<std::string> conflicts;
  for (const auto& field : old_fields.list()) {
    const auto* other = new_fields.find(field.path);
    const auto before = config::to_text(config::current_value(field)),
               after = config::to_text(config::current_value(*other));
    if (before != after && !may_change(field.path))
      conflicts.push_back(cat(field.path, " (", before, " -> ", after, ")"));
  }
  return conflicts;
}

Outcome train(const RunConfig& config, const RunFolder& folder, const Observer& observer) {
  Run run(config, folder, observer);
  return run.execute();
}

}  // namespace sdg::train
