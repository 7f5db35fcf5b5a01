#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/feature_input.h"
#include "cli/process.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/conditions/feature_clusters.h"
#include "sdg/conditions/online_head.h"
#include "sdg/config/find.h"
#include "sdg/config/overrides.h"
#include "sdg/config/value.h"
#include "sdg/config/write.h"
#include "sdg/config/yaml.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/metrics/clustering.h"
#include "sdg/study/cluster_study.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;
using conditions::ClusterMethod;
using Seconds = std::chrono::duration<double>;

struct Arguments {
  FeatureArguments source;
  std::optional<ClusterMethod> method;
  std::optional<cludi::Preset> preset;
  std::optional<int64_t> clusters, seed;
  std::string config, out = "ids.safetensors", state, from;
  std::vector<std::string> set, exported;
  int64_t stop_after = 0, save_every = 30;
  bool json = false, help_options = false, markdown = false;
};

constexpr const char* kExamples =
    "  sdg cluster --method cludi --features dino.safetensors --clusters 50 --out ids.safetensors\n"
    "  sdg cluster --method cludi --features dino.safetensors --clusters 50 --out ids.safetensors   goes on where it "
    "stopped\n"
    "  sdg cluster --method cludi --preset as_described --set cludi.train.epochs=50 --features dino.pth --clusters 50\n"
    "  sdg cluster --method sinkhorn --run runs/none --clusters 20          features of a run, one cluster an image\n"
    "  sdg cluster --method head --run runs/digits                          what the run's own head says\n"
    "  sdg cluster --from ids.state.safetensors --features new.npy          a finished one, of other features\n"
    "  sdg train --set condition.source=file --set condition.file=ids.safetensors\n"
    "  sdg eval-clusters --files ids.safetensors --labels labels.npy\n";

// A preset first, then a config, then single options, then what has a flag of its own.
conditions::FeatureClustering options_of(const Arguments& arguments, int64_t width, int64_t clusters) {
  conditions::FeatureClustering out;
  out.clusters = clusters;
  if (!arguments.from.empty()) out = conditions::options_of_state(arguments.from, width);
  if (arguments.preset) out.cludi = cludi::preset(*arguments.preset);
  const auto fields = config::Fields::of(out);
  if (!arguments.config.empty()) config::read_yaml(fields, config::find_config(arguments.config));
  for (const auto& text : arguments.set) config::apply_override(fields, text);
  if (arguments.method) out.method = *arguments.method;
  if (arguments.clusters) out.clusters = *arguments.clusters;
  if (arguments.seed) out.seed = *arguments.seed;
  config::check_values(fields);
  return out;
}

fs::path state_of(const Arguments& arguments) {
  if (!arguments.state.empty()) return arguments.state;
  return fs::path(arguments.out).replace_extension(".state.safetensors");
}

struct Outcome {
  cluster::Answer answer;
  nlohmann::ordered_json figures = nlohmann::ordered_json::object();
  int signal = 0;  // that ended the work before it was done
};

cluster::Answer answer_of(const cluster::Learned& learner, const Tensor& features) {
  ProgressBar bar("answer", "draws/s");
  return learner.answer(features, bar.callback());
}

Outcome learn(const Arguments& arguments, const conditions::FeatureClustering& options, const Tensor& features) {
  const auto state = state_of(arguments);
  const auto key = conditions::key_of(features);
  const auto learner = conditions::learner_for(features, options);
  if (fs::exists(state)) {
    const auto done = conditions::resume_state(state, *learner, options, key);
    say(cat(state.string(), ": ", done, " of ", learner->steps(), " steps are done"));
  }
  catch_signals();
  const auto begun = learner->done();
  const auto save = [&] { conditions::write_state(state, *learner, options, key); };
  ProgressBar bar(std::string(config::name(options.method)), "steps/s");
  bar.begin_at(begun);
  auto saved = std::chrono::steady_clock::now();
  double loss = 0;
  while (learner->done() < learner->steps()) {
    const bool enough = arguments.stop_after > 0 && learner->done() - begun >= arguments.stop_after;
    if (caught_signal() != 0 || enough) {
      bar.finish();
      save();
      say(cat("stopped after step ", learner->done(), "; the same command goes on"));
      Outcome stopped;
      stopped.signal = enough ? SIGINT : caught_signal();
      return stopped;
    }
    loss = learner->advance();
    char note[32];
    std::snprintf(note, sizeof note, "loss %.4f", loss);
    bar.update(learner->done(), learner->steps(), note);
    if (const auto now = std::chrono::steady_clock::now();
        Seconds(now - saved).count() > static_cast<double>(arguments.save_every)) {
      save();
      saved = now;
    }
  }
  bar.finish();
  if (learner->done() > begun) save();
  Outcome out{answer_of(*learner, features), {{"steps", learner->steps()}}};
  if (learner->done() > begun) out.figures["loss"] = loss;
  return out;
}

Outcome cluster_them(const Arguments& arguments, const conditions::FeatureClustering& options,
                     const FeatureInput& input) {
  const auto device = parse_device(arguments.source.device);
  const auto where = arguments.source.features.empty() ? std::string("features") : arguments.source.features;
  if (options.method == ClusterMethod::kHead) {
    const auto path = checkpoint::find_checkpoint(arguments.source.run, arguments.source.checkpoint);
    const auto trained = checkpoint::load_trained(path, device, arguments.source.weights);
    const bool own = arguments.source.features.empty() && arguments.source.data.empty();
    return {conditions::online_answer(trained, input.values, own, device), nlohmann::ordered_json::object()};
  }
  if (!arguments.from.empty()) {
    const auto learner = conditions::learner_for(input.values.to(device), options);
    conditions::load_state(arguments.from, *learner, options);
    return {answer_of(*learner, input.values), {{"from", arguments.from}}};
  }
  conditions::check_features(input.values, options.clusters, where);
  if (options.method != ClusterMethod::kKmeans) return learn(arguments, options, input.values.to(device));
  ProgressBar bar("k-means", options.kmeans.minibatch > 0 ? "passes/s" : "iterations/s");
  conditions::PseudoLabels figures;
  auto answer = conditions::kmeans_answer(input.values.to(device), options, bar.callback(), Reducer::local(), &figures);
  return {std::move(answer), {{"inertia", figures.inertia}, {"iterations", figures.iterations}}};
}

// Empty is all.
std::set<std::string> wanted_of(const Arguments& arguments) {
  const auto parts = parts_of(arguments.exported);
  for (const auto& name : parts)
    SDG_CHECK_USAGE(
        name == "ids" || name == "probabilities" || name == "prototypes" || name == "embeddings" || name == "centroids",
        "--export: expected some of ids, probabilities, prototypes, embeddings, centroids, got ", name);
  return {parts.begin(), parts.end()};
}

void keep_only(const std::set<std::string>& wanted, int64_t clusters, cluster::Answer& answer) {
  const bool probabilities = wanted.empty() || wanted.contains("probabilities");
  if (probabilities && !answer.probabilities.defined())
    answer.probabilities = conditions::sure_probabilities(answer.ids, clusters);
  if (wanted.empty()) return;
  if (!wanted.contains("probabilities")) answer.probabilities = Tensor();
  if (!wanted.contains("prototypes")) answer.prototypes = Tensor();
  if (!wanted.contains("embeddings")) answer.embeddings = Tensor();
}

void print(const Arguments& arguments, const conditions::FeatureClustering& options, const Outcome& outcome,
           const FeatureInput& input, double seconds) {
  const auto& ids = outcome.answer.ids;
  const auto sizes = study::cluster_sizes(ids, options.clusters);
  const auto used = options.clusters - static_cast<int64_t>(sizes.dead.size());
  nlohmann::ordered_json row{{"out", arguments.out},
                             {"method", config::name(options.method)},
                             {"rows", ids.size(0)},
                             {"features", input.values.size(1)},
                             {"clusters", options.clusters},
                             {"used", used},
                             {"entropy", sizes.entropy},
                             {"seed", options.seed},
                             {"seconds", seconds}};
  row.update(outcome.figures);
  std::optional<metrics::ClusterScores> scores;
  if (input.labels.defined()) {
    scores = metrics::cluster_scores(input.labels, ids);
    row.update({{"nmi", scores->nmi}, {"ami", scores->ami}, {"ari", scores->ari}, {"accuracy", scores->accuracy}});
  }
  if (arguments.json) {
    std::printf("%s\n", io::json_text(row).c_str());
    return;
  }
  std::printf(
      "%s: %lld of %lld clusters hold rows (%lld rows, %lld features each), entropy of the sizes %.3f of the "
      "possible, %.1f s\n",
      std::string(config::name(options.method)).c_str(), static_cast<long long>(used),
      static_cast<long long>(options.clusters), static_cast<long long>(ids.size(0)),
      static_cast<long long>(input.values.size(1)), sizes.entropy, seconds);
  if (scores)
    std::printf("against the labels: NMI %.4f  AMI %.4f  ARI %.4f  accuracy %.4f\n", scores->nmi, scores->ami,
                scores->ari, scores->accuracy);
}

// The page of a run's options speaks of runs before its first table.
constexpr const char* kPage =
    "# Options of sdg cluster\n\n"
    "Written from the declarations in the code; change it there. `--preset`, then `--config` (YAML with these keys), "
    "then "
    "`--set KEY=VALUE`, then the flags.\n"
    "A stored clustering goes on with other values of the free ones only.\n\n";

int help_options(bool markdown) {
  conditions::FeatureClustering defaults;
  const auto fields = config::Fields::of(defaults);
  if (markdown) {
    const auto page = config::to_markdown(fields);
    std::printf("%s%s", kPage, page.substr(page.find("| key")).c_str());
  } else {
    std::printf("%s", config::to_yaml(fields, {.comments = true}).c_str());
  }
  return 0;
}

// Options of a method that is not asked have no effect.
void check_method(const Arguments& arguments, const conditions::FeatureClustering& options) {
  const auto method = std::string(config::name(options.method));
  SDG_CHECK_USAGE(!arguments.preset || options.method == ClusterMethod::kCludi,
                  "--preset: is of --method cludi, and the method is ", method);
  for (const auto& text : arguments.set) {
    const auto dot = text.find('.');
    SDG_CHECK_USAGE(dot == std::string::npos || text.substr(0, dot) == method, "--set ", text, ": the method is ",
                    method);
  }
  const bool learns = options.method == ClusterMethod::kCludi || options.method == ClusterMethod::kSinkhorn;
  SDG_CHECK_USAGE(learns || arguments.state.empty(), "--state: ", method, " stores nothing to go on from");
  SDG_CHECK_USAGE(learns || arguments.stop_after == 0, "--stop-after: ", method, " does not stop and go on");
}

int execute(const Arguments& arguments) {
  if (arguments.help_options || arguments.markdown) return help_options(arguments.markdown);
  const auto wanted = wanted_of(arguments);
  if (arguments.from.empty()) {  // before any work
    const auto options = options_of(arguments, 0, 10);
    cludi::check(options.cludi);
    check_method(arguments, options);
  }
  const auto input = read_input(arguments.source, Reducer::local());
  auto options = options_of(arguments, input.values.size(1), input.clusters);
  const auto start = std::chrono::steady_clock::now();
  auto outcome = cluster_them(arguments, options, input);
  const double seconds = Seconds(std::chrono::steady_clock::now() - start).count();
  if (outcome.signal != 0) return 128 + outcome.signal;
  if (options.method == ClusterMethod::kHead) options.clusters = outcome.answer.prototypes.size(0);
  Tensor centroids;
  if (wanted.empty() || wanted.contains("centroids")) centroids = conditions::centroids_to_tell(outcome.answer);
  keep_only(wanted, options.clusters, outcome.answer);
  auto file = conditions::answer_file(outcome.answer, std::string(config::name(options.method)), options.clusters,
                                      input.origin);
  if (centroids.defined()) file.tensors["centroids"] = centroids;
  tensors::write_tensors(arguments.out, file);
  print(arguments, options, outcome, input, seconds);
  say(cat("wrote ", arguments.out,
          ": train on it with --set condition.source=file --set condition.file=", arguments.out));
  return 0;
}

void declare_own(CLI::App& app, Arguments& arguments) {
  static conditions::FeatureClustering defaults;
  static const auto fields = config::Fields::of(defaults);
  declare(app, "--method", arguments.method, *fields.find("method"), "Default cludi.");
  declare(app, "--clusters", arguments.clusters, *fields.find("clusters"), "Default: the run's, or 10.");
  declare(app, "--seed", arguments.seed, *fields.find("seed"), "Default 0.");
  declare(app, "--preset", arguments.preset,
          own<cludi::Preset>({.help = "options of CLUDI as its public code has them (the default) or as its paper "
                                      "describes them"}));
  app.add_option("--config", arguments.config, "options of the methods as YAML, after the preset")->type_name("FILE");
  app.add_option("--set", arguments.set, "one option of a method (repeatable): --help-options lists them")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->take_all();
  app.add_option("--out", arguments.out, "file to write; condition.source file takes it")
      ->type_name("FILE.safetensors");
  app.add_option("--export", arguments.exported,
                 "what to write of ids, probabilities, prototypes, embeddings, centroids (the mean embedding of each "
                 "cluster, for condition.told=centroid), with commas; default: all")
      ->type_name("NAME,...");
  app.add_option("--state", arguments.state,
                 "where a learning method stores itself, and goes on from; default: beside --out, .state.safetensors")
      ->type_name("FILE");
  app.add_option("--from", arguments.from, "learn nothing: ask the method stored in this file about the features")
      ->type_name("FILE");
  declare(app, "--stop-after", arguments.stop_after,
          own<int64_t>({.help = "stop after this many steps as Ctrl-C would; the same command goes on", .min = 1}));
  declare(app, "--save-every", arguments.save_every,
          own<int64_t>({.help = "seconds between two stored states; default 30", .min = 1, .max = 1000000}));
  app.add_flag("--json", arguments.json, "print one JSON object on standard output and nothing else there");
  app.add_flag("--help-options", arguments.help_options, "every option of the methods: default, range, meaning");
  app.add_flag("--markdown", arguments.markdown, "the same as a Markdown page");
}

void check_together(const CLI::App& app, const Arguments& arguments) {
  if (!arguments.from.empty())
    refuse(app, {"--method", "--preset", "--clusters", "--seed", "--config", "--state", "--stop-after", "--save-every"},
           "is in the file of --from");
  const bool head = arguments.method == ClusterMethod::kHead;
  if (head) refuse(app, {"--clusters", "--seed", "--preset", "--state"}, "the head of a run knows; it learns nothing");
  if (!arguments.source.features.empty() && !head)
    refuse(app, {"--run", "--checkpoint", "--depth", "--time", "--pooling", "--weights"},
           "says how to look at images with a network; such options do not go with --features");
}

}  // namespace

Command cluster_command() {
  return {"cluster", "Clusters of features by CLUDI, k-means, a Sinkhorn-balanced head, or a run's own head.",
          kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_features(app, arguments->source, "cluster features of");
            declare_own(app, *arguments);
            return [arguments, &app] {
              check_together(app, *arguments);
              return execute(*arguments);
            };
          }};
}

}  // namespace sdg::cli
