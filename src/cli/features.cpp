#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/joined_ranks.h"
#include "cli/process.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/config/names.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/image/image.h"
#include "sdg/io/atomic_file.h"
#include "sdg/io/folder_lock.h"
#include "sdg/network/assign.h"
#include "sdg/report/html_page.h"
#include "sdg/study/feature_store.h"
#include "sdg/study/feature_table.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  SamplingArguments source;
  std::string data, out, store;
  std::vector<std::string> poolings;
  std::vector<int64_t> depths;
  std::vector<double> times;
  int64_t count = 0, clusters = 0, neighbours = 20, seed = 0;
  bool probes_chosen = false;  // was --neighbours given
  RankArguments ranks;
};

constexpr int64_t kCount = 2000;

constexpr const char* kExamples =
    "  sdg features                                                    the newest run: every block at five times\n"
    "  sdg features --run runs/digits --depths 0,2,4 --times 0.7,0.85 --pooling mean,flat\n"
    "  sdg features --checkpoint dit.safetensors --data photos.tar     a converted network and any data set\n"
    "  sdg features --depths 2 --times 0.85 --pooling mean --store features.safetensors\n";

constexpr const char* kLabelled =
    "Labels are used for measuring only: they train the probes, and nothing that is kept.";
constexpr const char* kUnlabelled =
    "The data have no two classes of labels, so only what needs none is measured: whether k-means finds the same "
    "clusters through another noise.";
constexpr const char* kHowToRead =
    "Each cell is one tap: features after the block in its row, of images seen at the time in its column (0 noise, "
    "1 image). Linear probe and k-NN learn on four fifths of the images and are right on this share of the rest; NMI "
    "says how well k-means on the features, which sees no labels, finds the classes: 0 by chance, 1 exactly; "
    "agreement is the NMI between the clusters of the same images seen through two noises. Colours are spread over "
    "each map's own range: compare maps by their numbers, and differences with what another --seed changes.";

data::OpenedData opened_data(const Arguments& arguments, const data::DataOptions& options,
                             const checkpoint::Trained& trained) {
  auto opened = data::open_data(options, arguments.data.empty() ? trained.info.config.config_dir : "");
  if (arguments.data.empty()) checkpoint::check_own_data(trained, opened);
  return opened;
}

// The folder of a run, or the working folder for a checkpoint that lies elsewhere.
fs::path results_folder(const Arguments& arguments, const checkpoint::Trained& trained) {
  if (!arguments.out.empty()) return arguments.out;
  const auto folder = fs::path(trained.path).parent_path();
  return folder.filename() == "checkpoints" ? folder.parent_path() / "features" : fs::path("features");
}

// Labels of the images, or undefined where there is nothing to tell apart.
Tensor labels_of(const data::OpenedData& opened, const std::vector<int64_t>& indices) {
  if (!opened.labels) return {};
  const auto labels = opened.labels->labels().index_select(0, at::tensor(indices));
  return labels.min().item<int64_t>() < labels.max().item<int64_t>() ? labels : Tensor();
}

study::FeatureStudyOptions study_options(const Arguments& arguments) {
  study::FeatureStudyOptions options;
  if (!arguments.times.empty()) options.times = arguments.times;
  options.depths = arguments.depths;
  options.poolings = arguments.poolings;
  options.clusters = arguments.clusters;
  options.neighbours = arguments.neighbours;
  options.seed = static_cast<uint64_t>(arguments.seed);
  options.stop = [] { return caught_signal() != 0; };
  return options;
}

std::string best_line(const std::vector<study::FeatureRow>& rows, const study::Measure& measure) {
  const auto* best = study::best_tap(rows, measure);
  if (!best) return "";  // stopped after the raw pixels
  char value[32];
  std::snprintf(value, sizeof value, "%.3f", best->*measure.value);
  return cat("best ", measure.title, " ", value, ": ", study::tap_options(best->tap), "\n");
}

/// Runs the study and writes what it found.
class Report {
 public:
  Report(const Arguments& arguments, checkpoint::Trained& trained, const at::Device& device)
      : arguments_(arguments),
        trained_(trained),
        device_(device),
        data_options_(data_options(arguments.data, trained)),
        opened_(opened_data(arguments, data_options_, trained)),
        dataset_(opened_, data_options_),
        options_(study_options(arguments)) {
    study::taps_of(options_, trained_);  // a wrong tap stops here, before anything that takes time
    const auto count = arguments.count > 0 ? arguments.count : kCount;
    indices_ = network::evaluation_subset(dataset_, count, 0);
    labels_ = labels_of(opened_, indices_);
    SDG_CHECK_USAGE(labels_.defined() || !arguments.probes_chosen, "--neighbours: ", opened_.description,
                    ": no two classes of labels, so there is no k-NN probe");
    split_ = study::probe_split(static_cast<int64_t>(indices_.size()), options_.test_share, options_.seed);
    clusters_ = study::study_clusters(options_, trained, static_cast<int64_t>(indices_.size()));
  }

  int write(const fs::path& folder) {
    say(labels_.defined() ? kLabelled : kUnlabelled);
    {
      ProgressBar bar("taps", "taps/s");
      const auto progress = [&](int64_t done, int64_t total) {
        bar.update(done / study::kTapWork, total / study::kTapWork);
      };
      rows_ = study::study_features(trained_, dataset_, indices_, labels_, options_, device_, progress);
    }
    write_table(folder);
    page(folder);
    say(cat("wrote ", (folder / "index.html").string(),
            ", table.md, results.json and a picture a measure and pooling"));
    if (!caught_signal()) return 0;
    say("stopped: the results hold what was measured until then");
    return 128 + caught_signal();
  }

 private:
  std::string sentence() const {
    const auto& config = trained_.info.config;
    return cat(config.model.name, ", condition ", config::name(config.condition.source), ", step ", trained_.info.step,
               ", ", arguments_.source.weights == checkpoint::Weights::kEma ? "averaged" : "raw", " weights; ",
               opened_.description, ": ", indices_.size(), " images",
               labels_.defined()
                   ? cat(", probes learn on ", split_.train.size(), " and are tested on ", split_.test.size(),
                         " (seed ", arguments_.seed, "), k-NN of ", arguments_.neighbours)
                   : std::string(),
               ", k-means of ", clusters_, " clusters.");
  }

  void write_table(const fs::path& folder) const {
    const auto& info = trained_.info;
    const auto table = study::feature_table(rows_);
    std::string best;
    for (const auto& measure : study::measures_in(rows_)) best += best_line(rows_, measure);
    const std::string note = labels_.defined() ? kLabelled : kUnlabelled;
    io::write_atomically(folder / "table.md", [&](std::ostream& out) {
      out << sentence() << "\n" << note << "\n\n" << table << "\n" << best;
    });
    const nlohmann::ordered_json head{{"checkpoint", trained_.path},
                                      {"step", info.step},
                                      {"model", info.config.model.name},
                                      {"weights", config::name(arguments_.source.weights)},
                                      {"data", opened_.description},
                                      {"images", indices_.size()},
                                      {"labels", labels_.defined() ? "for measuring only" : "none"},
                                      {"train_images", labels_.defined() ? split_.train.size() : 0},
                                      {"test_images", labels_.defined() ? split_.test.size() : 0},
                                      {"clusters", clusters_},
                                      {"neighbours", arguments_.neighbours},
                                      {"seed", arguments_.seed},
                                      {"complete", caught_signal() == 0}};
    io::write_atomically(folder / "results.json",
                         [&](std::ostream& out) { out << to_json(rows_, io::json_text(head)) << "\n"; });
    std::printf("%s\n%s", table.c_str(), best.c_str());
    std::fflush(stdout);
  }

  void page(const fs::path& folder) const {
    report::HtmlPage page(cat("Features of ", trained_.path));
    page.paragraph(sentence());
    page.paragraph(labels_.defined() ? kLabelled : kUnlabelled);
    page.paragraph(kHowToRead);
    for (const auto& measure : study::measures_in(rows_)) {
      if (!study::best_tap(rows_, measure)) continue;
      page.heading(measure.title);
      page.paragraph(best_line(rows_, measure));
      for (const auto& pooling : study::poolings_in(rows_)) {
        const auto picture = report::draw(study::feature_map(rows_, measure, pooling));
        image::write_png(folder / cat(measure.key, "-", pooling, ".png"), picture);
        page.picture(picture, "");
      }
    }
    page.heading("All taps");
    page.table(study::feature_cells(rows_));
    page.write(folder / "index.html");
  }

  const Arguments& arguments_;
  const checkpoint::Trained& trained_;
  at::Device device_;
  data::DataOptions data_options_;
  data::OpenedData opened_;
  data::Dataset dataset_;
  study::FeatureStudyOptions options_;
  std::vector<int64_t> indices_;
  Tensor labels_;
  study::ProbeSplit split_;
  int64_t clusters_ = 0;
  std::vector<study::FeatureRow> rows_;
};

// The one tap that --store means: what was asked for, and the run's own where nothing was.
study::Tap stored_tap(const Arguments& arguments, const checkpoint::Trained& trained) {
  SDG_CHECK_USAGE(arguments.depths.size() <= 1 && arguments.times.size() <= 1 && arguments.poolings.size() <= 1,
                  "--store: writes one tap; give one depth, one time and one pooling");
  const auto& config = trained.info.config;
  study::FeatureStudyOptions options;
  options.depths = arguments.depths;
  if (options.depths.empty()) options.depths = {network::feature_depth(config, *trained.network.model)};
  options.times = arguments.times;
  if (options.times.empty()) options.times = {config.cluster.teacher_time};
  options.poolings = arguments.poolings;
  if (options.poolings.empty()) options.poolings = {std::string(config::name(config.cluster.pooling))};
  return study::taps_of(options, trained).front();
}

int store(const Arguments& arguments, const checkpoint::Trained& trained, const at::Device& device, Reducer& ranks) {
  const auto tap = stored_tap(arguments, trained);
  const auto options = data_options(arguments.data, trained);
  const auto opened = opened_data(arguments, options, trained);
  const data::Dataset dataset(opened, options);
  const auto count = arguments.count > 0 ? arguments.count : dataset.size();
  const auto indices = network::evaluation_subset(dataset.size(), count, 0);
  ProgressBar bar("features", "img/s");
  const bool whole = study::store_features(
      arguments.store, trained, arguments.source.weights, opened, dataset, indices, tap, device, bar.callback(),
      [] { return caught_signal() != 0; }, ranks);
  bar.finish();
  leave_ranks();
  if (!whole) {
    say(cat("stopped; the same command goes on"));
    return 128 + (caught_signal() ? caught_signal() : SIGTERM);  // another rank's
  }
  say(cat("wrote ", arguments.store, ": features of ", indices.size(), " images after block ", tap.depth, " at time ",
          tap.time, ", ", tap.pooling));
  return 0;
}

int execute(const Arguments& arguments) {
  auto& ranks = join_ranks(arguments.ranks, arguments.source.device);
  SDG_CHECK_USAGE(ranks.ranks() == 1 || !arguments.store.empty(),
                  "sdg features: only --store is done by several "
                  "processes, and ",
                  ranks.ranks(), " were started; measure without torchrun, srun or sdg launch");
  const auto device = parse_device(arguments.source.device);
  auto trained = load(arguments.source, device);
  catch_signals();
  if (!arguments.store.empty()) return store(arguments, trained, device, ranks);
  Report report(arguments, trained, device);
  const auto folder = results_folder(arguments, trained);
  const io::FolderLock lock(folder, "sdg features");
  return report.write(folder);
}

}  // namespace

Command features_command() {
  return {"features", "What a network's features say about images, by depth and time: probes, heat maps, the best tap.",
          kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            auto& source = arguments->source;
            declare_source(app, source.run, source.checkpoint, "look into");
            app.add_option("--data", arguments->data, "images or latents to look at; default: the training data")
                ->type_name("PATH");
            const auto list = [&](const char* flag, auto& target, const std::string& path, const char* note) {
              declare(app, flag, target, declared(path), note);
            };
            list("--depths", arguments->depths, "cluster.depth", "Several with commas; default: all blocks.");
            list("--times", arguments->times, "cluster.teacher_time",
                 "Several with commas; default 0.3,0.5,0.7,0.85,0.95.");
            declare(app, "--pooling", arguments->poolings, declared("cluster.pooling"),
                    "Several with commas; default: mean, cls where there is one, flat where it is at most 65536 wide.");
            declare(app, "--count", arguments->count,
                    own<int64_t>({.help = "images, at most; 2000 unless given (--store: all)", .min = 1}));
            declare(app, "--clusters", arguments->clusters,
                    own<int64_t>({.help = "K of the k-means; default: the run's cluster.clusters", .min = 2}));
            declare(app, "--neighbours", arguments->neighbours,
                    own<int64_t>({.help = "k of the k-NN probe; 20 unless given", .min = 1}));
            declare(app, "--seed", arguments->seed,
                    own<int64_t>({.help = "of the split into training and test images, and of k-means; default 0",
                                  .min = declared("seed").doc.min,
                                  .max = declared("seed").doc.max}));
            declare_weights(app, source.weights);
            app.add_option("--out", arguments->out, "folder of the results; default: features/ in the run")
                ->type_name("DIR");
            app.add_option("--store", arguments->store,
                           "instead of measuring, write the features of one tap (default: the run's) of all images")
                ->type_name("FILE.safetensors");
            declare_device(app, source.device);
            declare_ranks(app, arguments->ranks);
            return [arguments, &app] {
              if (!arguments->store.empty())
                refuse(app, {"--clusters", "--neighbours", "--seed", "--out"},
                       "goes with measuring, and --store only writes features");
              arguments->probes_chosen = given(app, "--neighbours");
              return execute(*arguments);
            };
          }};
}

}  // namespace sdg::cli
