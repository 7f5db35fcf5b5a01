#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "cli/command.h"
#include "cli/process.h"
#include "cli/reference.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/io/atomic_file.h"
#include "sdg/io/image.h"
#include "sdg/sample/solver.h"
#include "sdg/train/evaluate.h"
#include "sdg/train/latent_images.h"
#include "sdg/train/run_folder.h"
#include "sdg/train/sweep.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::vector<std::string> runs;
  std::vector<double> guidance;
  std::vector<int64_t> steps, seeds;
  std::vector<std::string> solvers, grids, intervals;
  std::string out = "sweep", extractor, weights, reference, autoencoder, device = "auto";
  int64_t count = 0, batch = 0, reference_count = 0;
};

constexpr const char* kExamples =
    "  sdg sweep --guidance 1,1.5,2,3                                   the newest run\n"
    "  sdg sweep --run online=runs/on0,runs/on1 --run label=runs/lab0,runs/lab1 --guidance 1,1.5,2,3\n"
    "                                                                   a line a label, mean and range over its runs\n"
    "  sdg sweep --run runs/digits --steps 5,10,25,50 --guidance 1.5 --interval 0:1,0.3:1 --out runs/digits/sweep\n";

struct NamedRun {
  std::string label;
  fs::path checkpoint;
};

// "label=dir,dir" or "dir" (labelled by its folder's name); a checkpoint file may stand for a folder.
std::vector<NamedRun> named_runs(const std::vector<std::string>& texts) {
  std::vector<NamedRun> out;
  if (texts.empty()) {
    const auto newest = train::find_checkpoint("", "");
    out.push_back({train::RunFolder::of_checkpoint(newest).root().filename().string(), newest});
  }
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    const std::string label = equals == std::string::npos ? "" : text.substr(0, equals);
    std::stringstream list(equals == std::string::npos ? text : text.substr(equals + 1));
    for (std::string place; std::getline(list, place, ',');) {
      SDG_CHECK_USAGE(!place.empty(), "--run: expected LABEL=DIR[,DIR…] or DIR, got \"", text, "\"");
      const bool file = fs::is_regular_file(place);
      const auto own = fs::path(place).filename().empty() ? fs::path(place).parent_path() : fs::path(place);
      out.push_back({label.empty() ? own.filename().string() : label,
                     train::find_checkpoint(file ? "" : place, file ? place : "")});
    }
  }
  return out;
}

std::pair<double, double> interval_of(const std::string& text) {
  double begin = 0, end = 0;
  char rest = 0;
  const bool read = std::sscanf(text.c_str(), "%lf:%lf%c", &begin, &end, &rest) == 2;
  SDG_CHECK_USAGE(read && begin >= 0 && begin <= end && end <= 1,
                  "--interval: expected BEGIN:END with 0 <= BEGIN <= END <= 1, got \"", text, "\"");
  return {begin, end};
}

/// Points on disk, one a line, appended as they are measured: a sweep that was stopped goes on.
class Points {
 public:
  explicit Points(fs::path path) : path_(std::move(path)) {
    std::ifstream in(path_);
    int64_t number = 0;
    for (std::string line; std::getline(in, line);) {
      ++number;
      if (in.eof()) break;  // without its end of line it was torn
      rows_.push_back(train::parse_sweep_row(line, cat(path_.string(), ":", number)));
    }
    std::string whole;
    for (const auto& row : rows_) whole += train::to_json(row) + "\n";
    io::write_atomically(path_, [&](std::ostream& out) { out << whole; });
  }
  const train::SweepRow* find(const train::SweepRow& point) const {
    const auto found =
        std::find_if(rows_.begin(), rows_.end(), [&](const auto& row) { return train::same_point(row, point); });
    return found == rows_.end() ? nullptr : &*found;
  }
  void add(const train::SweepRow& row) {
    std::ofstream out(path_, std::ios::app);
    out << train::to_json(row) << "\n";
    out.flush();
    SDG_CHECK(out.good(), path_.string(), ": cannot write");
    rows_.push_back(row);
  }

 private:
  fs::path path_;
  std::vector<train::SweepRow> rows_;
};

using References = std::map<std::string, metrics::Gaussian>;

/// Everything of one checkpoint that its points share.
class Measurer {
 public:
  Measurer(const NamedRun& run, const Arguments& arguments, const at::Device& device, References& references)
      : trained_(train::load_trained(run.checkpoint, device)),
        device_(device),
        limit_(arguments.reference_count),
        references_(references) {
    const auto& config = trained_.info.config;
    extractor_weights_ = arguments.weights.empty() ? config.eval.weights : arguments.weights;
    extractor_ = metrics::make_extractor(arguments.extractor.empty() ? config.eval.extractor : arguments.extractor,
                                         extractor_weights_);
    to_images_ = train::to_images_of(trained_.info, arguments.autoencoder, device);
    reference_ = arguments.reference.empty() ? config.eval.reference : arguments.reference;
  }
  const train::RunConfig& config() const { return trained_.info.config; }
  int64_t step() const { return trained_.info.step; }
  std::string metric() const { return extractor_->metric_name(); }

  double distance(train::GenerateOptions options, const std::string& title) {
    options.to_images = to_images_;
    const auto& reference = target();
    ProgressBar bar(title, "img/s");
    return metrics::frechet_distance(train::sample_statistics(trained_, options, device_, *extractor_, bar.callback()),
                                     reference);
  }

 private:
  // Runs of one sweep mostly share what they are compared with, which takes long to look at.
  const metrics::Gaussian& target() {
    const auto options = train::reference_options(trained_.info, reference_.empty());
    const auto key = cat(reference_, "\n", options.path, "\n", options.format, " ", options.size, " ", options.channels,
                         " ", extractor_->name(), " ", extractor_weights_);
    auto found = references_.find(key);
    if (found == references_.end())
      found = references_.emplace(key, statistics_of(reference_, options, *extractor_, limit_, "reference")).first;
    return found->second;
  }

  train::Trained trained_;
  at::Device device_;
  std::unique_ptr<metrics::FeatureExtractor> extractor_;
  std::string reference_;
  std::string extractor_weights_;
  int64_t limit_;
  References& references_;
  train::ToImages to_images_;
};

train::GenerateOptions options_of(const train::SweepRow& row, int64_t batch) {
  train::GenerateOptions options;
  options.count = row.count;
  options.seed = row.seed;
  options.steps = row.steps;
  options.guidance = row.guidance;
  options.guidance_begin = row.guidance_begin;
  options.guidance_end = row.guidance_end;
  options.solver = row.solver;
  options.grid = row.grid;
  if (batch > 0) options.batch = batch;
  return options;
}

// Only what was asked for on the command line: a run's own choices are the checkpoint's.
std::string reference_text(const Arguments& arguments) {
  std::vector<std::string> parts;
  if (!arguments.reference.empty()) parts.push_back(arguments.reference);
  if (arguments.reference_count > 0) parts.push_back(cat(arguments.reference_count, " images"));
  if (!arguments.weights.empty()) parts.push_back(arguments.weights);
  return join(parts);
}

// All combinations of the asked settings, each defaulting to the run's own.
std::vector<train::SweepRow> points_of(const NamedRun& run, const Measurer& measurer, const Arguments& arguments) {
  const auto& defaults = measurer.config().sample;
  const auto or_default = [](auto list, auto value) {
    if (list.empty()) list.push_back(value);
    return list;
  };
  std::vector<std::pair<double, double>> intervals;
  for (const auto& text : arguments.intervals) intervals.push_back(interval_of(text));
  train::SweepRow row;
  row.label = run.label;
  row.checkpoint = run.checkpoint.lexically_normal().string();
  row.step = measurer.step();
  row.metric = measurer.metric();
  row.reference = reference_text(arguments);
  row.count = arguments.count > 0 ? arguments.count : measurer.config().eval.count;
  // Without a condition guidance changes nothing: one point says it all.
  const bool guided = measurer.config().condition.source != "none";
  const auto guidances = guided ? or_default(arguments.guidance, defaults.guidance) : std::vector<double>{1.0};
  std::vector<train::SweepRow> out;
  for (const auto& solver : or_default(arguments.solvers, defaults.solver))
    for (const auto& grid : or_default(arguments.grids, defaults.grid))
      for (const auto steps : or_default(arguments.steps, defaults.steps))
        for (const auto& [begin, end] :
             or_default(intervals, std::pair{defaults.guidance_begin, defaults.guidance_end}))
          for (const auto guidance : guidances)
            for (const auto seed : or_default(arguments.seeds, defaults.seed)) {
              row.solver = solver;
              row.grid = grid;
              row.steps = steps;
              row.guidance_begin = begin;
              row.guidance_end = end;
              row.guidance = guidance;
              row.seed = seed;
              out.push_back(row);
            }
  return out;
}

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.device);
  for (const auto& solver : arguments.solvers) sample::evaluations_per_step(solver);
  for (const auto& text : arguments.intervals) interval_of(text);
  for (const auto& grid : arguments.grids)
    SDG_CHECK_USAGE(grid == "uniform" || grid == "own", "--grid: expected uniform or own, got \"", grid, "\"");
  for (const auto steps : arguments.steps) SDG_CHECK_USAGE(steps >= 1, "--steps: must be at least 1, got ", steps);
  const auto runs = named_runs(arguments.runs);
  std::error_code failed;
  fs::create_directories(arguments.out, failed);
  SDG_CHECK(!failed, arguments.out, ": cannot make the folder: ", failed.message());
  Points points(fs::path(arguments.out) / "points.jsonl");
  catch_signals();

  References references;
  std::vector<train::SweepRow> rows;
  for (size_t r = 0; r < runs.size(); ++r) {
    Measurer measurer(runs[r], arguments, device, references);
    for (auto& point : points_of(runs[r], measurer, arguments)) {
      if (const auto* known = points.find(point)) {
        point.value = known->value;
      } else {
        point.value = measurer.distance(options_of(point, arguments.batch),
                                        cat(runs[r].label, " ", r + 1, "/", runs.size(), " w ", point.guidance));
        points.add(point);
        say(cat(runs[r].checkpoint.string(), ": guidance ", point.guidance, ", ", point.steps, " ", point.solver,
                " steps, seed ", point.seed, ": ", point.metric, " ", point.value));
      }
      rows.push_back(point);
      if (caught_signal()) {
        say(cat("stopped; what was measured is in ", arguments.out, "/points.jsonl; the same command goes on"));
        return 128 + caught_signal();
      }
    }
  }
  const auto table = train::sweep_table(rows);
  const auto folder = fs::path(arguments.out);
  io::write_atomically(folder / "table.md", [&](std::ostream& out) { out << table; });
  io::write_png(folder / "chart.png", io::draw(train::sweep_chart(rows)));
  std::printf("%s\n%s\n", table.c_str(), train::sweep_best(rows).c_str());
  say(cat("wrote ", (folder / "table.md").string(), ", chart.png and points.jsonl"));
  return 0;
}

}  // namespace

Command sweep_command() {
  return {
      "sweep", "Measure many sampling settings with the same noise: a table, a chart, the best one.", kExamples,
      [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        app.add_option("--run", arguments->runs,
                       "LABEL=DIR[,DIR...] or DIR (repeatable); runs of one label are repetitions; default: the "
                       "newest run under runs/")
            ->type_name("RUNS");
        const auto list = [&](const char* name, auto& target, const std::string& help, const char* type) {
          app.add_option(name, target, help)->delimiter(',')->type_name(type);
        };
        list("--guidance", arguments->guidance, "strengths w, e.g. 1,1.5,2,3", "W,W...");
        list("--steps", arguments->steps, "solver steps, e.g. 5,10,25", "N,N...");
        list("--solver", arguments->solvers, "solvers: " + join(sample::solver_names()), "NAME,...");
        list("--grid", arguments->grids, "spacing of the steps: uniform in t, or own, of the network's path",
             "NAME,...");
        list("--interval", arguments->intervals, "times between which guidance acts, e.g. 0:1,0.3:1", "B:E,...");
        list("--seed", arguments->seeds, "seeds of the noise; several are repetitions", "N,N...");
        app.add_option("--count", arguments->count, "images a point; default: eval.count of the run")
            ->check(CLI::NonNegativeNumber);
        app.add_option("--batch", arguments->batch, "images under way at once")->check(CLI::NonNegativeNumber);
        app.add_option("--extractor", arguments->extractor, "feature network; default: the run's")->type_name("NAME");
        app.add_option("--extractor-weights", arguments->weights, "its weights")->type_name("FILE");
        app.add_option("--reference", arguments->reference,
                       "data set or .npz to compare with; default: the "
                       "training data")
            ->type_name("PATH");
        app.add_option("--reference-count", arguments->reference_count,
                       "take only this many images of the data set to compare with; 0 takes all")
            ->check(CLI::NonNegativeNumber);
        app.add_option("--autoencoder", arguments->autoencoder,
                       "runs trained on latents: what decodes them; default: what made them")
            ->type_name("FILES");
        app.add_option("--out", arguments->out, "folder of the results; a sweep there goes on")->type_name("DIR");
        app.add_option("--device", arguments->device, "auto, cpu, cuda or cuda:N")->type_name("NAME");
        return [arguments] { return execute(*arguments); };
      }};
}

}  // namespace sdg::cli
