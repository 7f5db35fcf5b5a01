#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/process.h"
#include "cli/reference.h"
#include "cli/sample_options.h"
#include "cli/sampling.h"
#include "cli/sweep_input.h"
#include "cli/terminal.h"
#include "sdg/config/names.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/evaluate/image_feeds.h"
#include "sdg/generate/content.h"
#include "sdg/image/image.h"
#include "sdg/io/atomic_file.h"
#include "sdg/io/folder_lock.h"
#include "sdg/latents/latent_images.h"
#include "sdg/study/sweep.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::vector<std::string> runs;
  std::vector<SampleAxis> axes;
  std::optional<int64_t> count, batch;
  std::optional<Graph> graph;
  ReferenceArguments reference;
  std::string out = "sweep", autoencoder, device = "auto";
};

constexpr const char* kExamples =
    "  sdg sweep --guidance 1,1.5,2,3                                   the newest run\n"
    "  sdg sweep --run online=runs/on0,runs/on1 --run label=runs/lab0,runs/lab1 --guidance 1,1.5,2,3\n"
    "                                                                   a line a label, mean and range over its runs\n"
    "  sdg sweep --run runs/digits --steps 5,10,25,50 --guidance 1.5 --interval 0:1,0.3:1 --out runs/digits/sweep\n";

// Images under way at once: many, since nobody waits for the first of them.
constexpr int64_t kBatch = 256;

using References = std::map<std::string, Reference>;

// Does any of the points?
bool asks_for_learned(const Arguments& arguments) {
  for (const auto& axis : arguments.axes) {
    for (const auto& values : axis.values) {
      sample::SampleOptions sample;
      lay_over(sample, values);
      if (sample.prior == sample::Prior::kLearned) return true;
    }
  }
  return false;
}

/// Everything of one checkpoint that its points share.
class Measurer {
 public:
  Measurer(const NamedRun& run, const Arguments& arguments, const at::Device& device, References& references)
      : trained_(checkpoint::load_trained(run.checkpoint, device)), device_(device) {
    const auto& config = trained_.info.config;
    extractor_ = extractor_of(arguments.reference, &config.eval, device);
    if (asks_for_learned(arguments)) add_vectors(trained_, device);
    to_images_ = latents::to_images_of(trained_.info, arguments.autoencoder, device, &decoder_);
    reference_ = &target(arguments.reference, references);
  }
  const checkpoint::Trained& trained() const { return trained_; }
  std::string metric() const { return extractor_->metric_name(); }

  /// Digest of all that decides a distance besides the settings of drawing.
  std::string content() const {
    io::Digest digest;
    digest.text(generate::content_digest(trained_)).text(decoder_).text(device_.is_cpu() ? "cpu" : "gpu");
    digest.text(extractor_->name()).text(extractor_->weights_digest());
    return digest.text(generate::content_digest(reference_->statistics)).hex();
  }

  double distance(const sample::SampleOptions& sample, const std::string& title) {
    const generate::Request request{.sample = sample, .to_images = to_images_};
    ProgressBar bar(title, "img/s");
    const auto feed = evaluate::sample_feed(trained_, request, device_, bar.callback());
    const auto drawn = evaluate::gaussian_of(feed, *extractor_);
    bar.finish();
    check_sizes(drawn, trained_.path, false, *reference_);
    return metrics::frechet_distance(drawn, reference_->statistics);
  }

 private:
  // Runs of one sweep mostly share what they are compared with, which takes long to look at.
  const Reference& target(const ReferenceArguments& arguments, References& references) {
    const auto& info = trained_.info;
    const bool own_data = arguments.path.empty() && info.config.eval.reference.empty();
    const auto options = own_data ? latents::reference_options(info, true) : data::DataOptions();
    const auto key = cat(arguments.path, "\n", info.config.eval.reference, "\n", own_data, options.path, "\n",
                         config::name(options.format), " ", options.size, " ", options.channels, " ",
                         extractor_->name(), " ", extractor_->weights_digest());
    auto found = references.find(key);
    if (found == references.end()) found = references.emplace(key, reference_of(arguments, &info, *extractor_)).first;
    return found->second;
  }

  checkpoint::Trained trained_;
  at::Device device_;
  std::unique_ptr<vision::FeatureExtractor> extractor_;
  latents::ToImages to_images_;
  std::string decoder_;
  const Reference* reference_ = nullptr;
};

// Only what was asked for on the command line: a run's own choices are the checkpoint's.
std::string reference_text(const Arguments& arguments) {
  std::vector<std::string> parts;
  const auto& reference = arguments.reference;
  if (!reference.path.empty()) parts.push_back(reference.path);
  if (reference.count > 0) parts.push_back(cat(reference.count, " images"));
  if (reference.size > 0) parts.push_back(cat("at ", reference.size, " pixels"));
  if (!reference.weights.empty()) parts.push_back(reference.weights);
  return join(parts);
}

// What this network leaves without effect has one value.
bool is_free(const SampleAxis& axis, bool guided) {
  return guided || !axis.names.front().starts_with("guidance");
}

// All combinations of the asked settings over the run's own; settings that differ only in what has no effect are one.
std::vector<sample::SampleOptions> settings_of(const sample::SampleOptions& own, const std::vector<SampleAxis>& axes,
                                               bool guided) {
  std::vector<sample::SampleOptions> all{own};
  for (const auto& axis : axes) {
    if (axis.values.empty() || !is_free(axis, guided)) continue;
    std::vector<sample::SampleOptions> finer;
    for (const auto& coarse : all)
      for (const auto& values : axis.values) lay_over(finer.emplace_back(coarse), values);
    all = std::move(finer);
  }
  return all;
}

std::vector<study::SweepRow> points_of(const NamedRun& run, const Measurer& measurer, const Arguments& arguments) {
  const auto& trained = measurer.trained();
  study::SweepRow row;
  row.label = run.label;
  row.checkpoint = run.checkpoint.lexically_normal().string();
  row.step = trained.info.step;
  row.metric = measurer.metric();
  row.reference = reference_text(arguments);
  row.content = measurer.content();
  row.sample = trained.info.config.sample;
  row.sample.count = arguments.count.value_or(trained.info.config.eval.count);
  row.sample.batch = arguments.batch.value_or(kBatch);
  row.sample.graph = arguments.graph.value_or(row.sample.graph);
  // Without a condition guidance changes nothing.
  const bool guided = trained.prior.defined();
  if (!guided) row.sample.guidance = 1;
  std::set<std::string> reasons;
  for (const auto& axis : arguments.axes) {
    if (!axis.values.empty() && !is_free(axis, guided))
      reasons.insert("drawn without conditions, so guidance changes nothing");
  }
  std::vector<study::SweepRow> out;
  for (const auto& sample : settings_of(row.sample, arguments.axes, guided)) {
    const auto idle = sample::idle(sample);
    for (const auto& axis : arguments.axes) {
      const auto found = idle.find(axis.names.front());
      if (!axis.values.empty() && is_free(axis, guided) && found != idle.end()) reasons.insert(found->second);
    }
    row.sample = sample;
    const bool known = std::any_of(out.begin(), out.end(), [&](const auto& each) { return same_point(each, row); });
    if (!known) out.push_back(row);
  }
  for (const auto& reason : reasons) say(cat(row.checkpoint, ": ", reason, ": one point stands for all"));
  return out;
}

/// The measured rows, and how many could not be.
struct Outcome {
  std::vector<study::SweepRow> rows;
  int64_t failed = 0;
  bool stopped = false;
};

// The points of one run, measured or found; what several names of one network have in common counts once.
void measure_run(const NamedRun& run, const std::string& number, Measurer& measurer, const Arguments& arguments,
                 Points& points, Outcome& outcome) {
  bool twice = false;
  for (auto& point : points_of(run, measurer, arguments)) {
    if (caught_signal()) {
      outcome.stopped = true;
      return;
    }
    const auto counted = std::any_of(outcome.rows.begin(), outcome.rows.end(), [&](const study::SweepRow& row) {
      return row.label == point.label && study::same_point(row, point);
    });
    twice |= counted;
    if (counted) continue;
    if (const auto* known = points.find(point)) {
      point.value = known->value;
    } else {
      try {
        point.value = measurer.distance(point.sample, cat(run.label, " ", number, " w ", point.sample.guidance));
      } catch (const generate::NotFinite& error) {
        ++outcome.failed;
        warn(cat(run.checkpoint.string(), ": not measured: ", error.what()));
        continue;
      }
      points.add(point);
      say(cat(run.checkpoint.string(), ": ", sample::to_text(point.sample), ": ", point.metric, " ", point.value));
    }
    outcome.rows.push_back(point);
  }
  if (twice)
    warn(cat(run.checkpoint.string(), ": the same network was measured under this label already; counted once"));
}

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.device);
  SDG_CHECK_USAGE(arguments.reference.size == 0 || !arguments.reference.path.empty(),
                  "--size: says how the images of --reference are seen; a run's own data are seen as its network does");
  const auto runs = named_runs(arguments.runs);
  const auto folder = fs::path(arguments.out);
  const io::FolderLock lock(folder, "sdg sweep");
  Points points(folder / "points.jsonl");
  catch_signals();

  References references;
  Outcome outcome;
  for (size_t r = 0; r < runs.size() && !outcome.stopped; ++r) {
    Measurer measurer(runs[r], arguments, device, references);
    measure_run(runs[r], cat(r + 1, "/", runs.size()), measurer, arguments, points, outcome);
  }
  if (outcome.stopped) {
    say(cat("stopped; what was measured is in ", arguments.out, "/points.jsonl; the same command goes on"));
    return 128 + caught_signal();
  }
  SDG_CHECK(!outcome.rows.empty(), "none of the ", outcome.failed, " points could be measured");
  const auto table = study::sweep_table(outcome.rows);
  io::write_atomically(folder / "table.md", [&](std::ostream& out) { out << table; });
  image::write_png(folder / "chart.png", report::draw(study::sweep_chart(outcome.rows)));
  std::printf("%s\n%s\n", table.c_str(), study::sweep_best(outcome.rows).c_str());
  say(cat("wrote ", (folder / "table.md").string(), ", chart.png and points.jsonl"));
  if (outcome.failed == 0) return 0;
  warn(cat(outcome.failed, " points could not be measured"));
  return 1;
}

}  // namespace

Command sweep_command() {
  return {"sweep", "Measure many sampling settings with the same noise: a table, a chart, the best one.", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            app.add_option("--run", arguments->runs,
                           "LABEL=DIR[,DIR...] or DIR (repeatable); runs of one label are repetitions; default: the "
                           "newest run under runs/")
                ->type_name("RUNS");
            declare_sample_lists(app, arguments->axes);
            declare(app, "--count", arguments->count, declared("eval.count"), "Default: the run's eval.count.");
            declare(app, "--batch", arguments->batch, declared("sample.batch"));
            declare(app, "--graph", arguments->graph, declared("sample.graph"), "Default: the run's sample.graph.");
            declare_reference(app, arguments->reference);
            app.add_option("--autoencoder", arguments->autoencoder,
                           "runs trained on latents: what decodes them; default: what made them")
                ->type_name("FILES");
            app.add_option("--out", arguments->out, "folder of the results; a sweep there goes on")->type_name("DIR");
            declare_device(app, arguments->device);
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
