#include "sdg/recipe/run_config.h"

#include <sstream>

#include "sdg/config/find.h"
#include "sdg/config/overrides.h"
#include "sdg/config/yaml.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/recipe/source.h"

namespace sdg::recipe {

void RunConfig::visit(config::Fields& fields) {
  fields("seed", &seed,
         {.help = "Key of all randomness: the same seed gives the same run.",
          .min = 0,
          .instead = "the order of the data and all noise are keyed by it: choose another --run"});
  fields("device", &device,
         {.help = "auto (a GPU if there is one), cpu, cuda or cuda:N.", .resume = config::Resume::kFree});
  fields.group("data", data, "What to train on.");
  fields.group("model", model, "The network.");
  fields.group("flow", flow, "The path from noise to data.");
  fields.group("condition", condition, "What guides the network.");
  fields.group("cluster", cluster,
               "How the network's own features are clustered (condition.source online, recluster and kmeans).");
  fields.group("train", train, "How long and how fast to train, what to write while training.");
  fields.group("align", align,
               "Aligning the network's features with those of an outside one, or of its own average, while training.");
  fields.group("guided", guided,
               "Guidance that is learned in training, so that drawing with it costs one evaluation a step.");
  fields.group("average", average, "Averages of the weights that are kept for any width afterwards (sdg average).");
  fields.group("sample", sample, "How images are drawn.");
  fields.group("eval", eval, "How images and clusters are measured.");
}

namespace {

void check_guided(const RunConfig& config) {
  const auto& guided = config.guided;
  const auto& sample = config.sample;
  const auto learns = cat("guided.learn: ", config::name(guided.learn));
  if (guided.learn != LearnGuidance::kNone) {
    SDG_CHECK_USAGE(facts_of(config).conditions, learns, " needs conditions, got condition.source none");
    SDG_CHECK_USAGE(config.condition.drop > 0 && config.model.null_label, learns,
                    " leads away from the null condition, which has to be trained: condition.drop must be above 0 and "
                    "model.null_label on");
    SDG_CHECK_USAGE(config.condition.drop_per == DropPer::kImage, learns,
                    " needs images that have their whole condition or none: condition.drop_per image");
  }
  SDG_CHECK_USAGE(sample.inner_guidance == 1 || guided.inner >= 0,
                  "sample.inner_guidance: needs a network with an inner head (guided.inner), got ",
                  sample.inner_guidance);
  SDG_CHECK_USAGE(sample.guide != sample::Guide::kInput || guided.learn == LearnGuidance::kGft,
                  "sample.guide: input needs a network that is told the strength (guided.learn gft), got ",
                  config::name(guided.learn));
}

}  // namespace

void check_config(const RunConfig& config) {
  check_guided(config);
  SDG_CHECK_USAGE(!config.align.with_itself() || config.train.teacher == Teacher::kAverage,
                  "align.extractor: self needs an average that follows from the first step (train.teacher average)");
  const auto& condition = config.condition;
  const auto facts = facts_of(config);
  SDG_CHECK_USAGE(condition.source != Source::kKmeans || !condition.run.empty(),
                  "condition.run: source kmeans clusters the features of a finished run; name its folder, e.g. --set "
                  "condition.run=runs/none");
  SDG_CHECK_USAGE(condition.source != Source::kFile || !condition.file.empty(),
                  "condition.file: source file needs one, e.g. --set condition.file=labels.npy");
  SDG_CHECK_USAGE(condition.told == Told::kStored || condition.source == Source::kFile,
                  "condition.told: ", config::name(condition.told),
                  " says what of a file is told, and needs condition.source file, got ",
                  config::name(condition.source));
  SDG_CHECK_USAGE(config.cluster.level == cluster::Level::kImage || facts.online || !facts.conditions,
                  "cluster.level: patch needs condition.source online, got ", config::name(condition.source));
  SDG_CHECK_USAGE(
      condition.drop_per == DropPer::kImage || (config.cluster.level == cluster::Level::kPatch && facts.online),
      "condition.drop_per: patch needs cluster.level patch");
  SDG_CHECK_USAGE(config.train.batch >= 2 || !facts.online,
                  "train.batch: source online needs at least 2 images a step");
  SDG_CHECK_USAGE(config.cluster.window_begin < config.cluster.window_end,
                  "cluster.window_begin: must be below cluster.window_end, got ", config.cluster.window_begin, " and ",
                  config.cluster.window_end);
  const bool by_embeddings = condition.token == Token::kCentroid || condition.token == Token::kEmbedding;
  SDG_CHECK_USAGE(!by_embeddings || !facts.online || config.train.teacher == Teacher::kAverage,
                  "condition.token: ", config::name(condition.token),
                  " needs an average that follows from the first step (train.teacher average)");
  SDG_CHECK_USAGE(!tells_embeddings(config) || config.cluster.level == cluster::Level::kImage,
                  "condition.token: embedding is of whole images, and cluster.level is patch");
  SDG_CHECK_USAGE(!tells_embeddings(config) || config.train.graph == Graph::kNone,
                  "condition.token: embedding cannot be recorded (train.graph)");
  SDG_CHECK_USAGE(condition.stable == 0 || !facts.online || config.train.teacher == Teacher::kAverage,
                  "condition.stable: clusters of a teacher that stays as it began (train.teacher change) hold still "
                  "without meaning anything; set one of the two otherwise");
  SDG_CHECK_USAGE(config.sample.prior != sample::Prior::kLearned,
                  "sample.prior: what learned draws by is fitted to a finished run (sdg fit-prior); ask for it when "
                  "drawing, with --prior learned");
  SDG_CHECK_USAGE(config.eval.every == 0 || config.eval.every_count != 1,
                  "eval.every_count: a distance needs at least 2 images, got 1");
  SDG_CHECK_USAGE(config.eval.every == 0 || config.sample.guide != sample::Guide::kNetwork,
                  "eval.every: images cannot be drawn while training with sample.guide network, which needs another "
                  "checkpoint to guide by");
  const bool times_as_drawn = config.train.time == TimeDraw::kUniform && config.train.time_shift == 1;
  SDG_CHECK_USAGE(times_as_drawn || !flow::has_steps(config.model.path),
                  "train.time, train.time_shift: of paths whose place is a time; model.path ",
                  config::name(config.model.path), " counts steps");
  SDG_CHECK_USAGE(!config.average.track || config.average.narrow < config.average.wide,
                  "average.narrow: must be below average.wide, got ", config.average.narrow, " and ",
                  config.average.wide);
  SDG_CHECK_USAGE(!facts.online || config.cluster.end == 1 || config.cluster.end > config.cluster.start,
                  "cluster.end: clusters can rest only after they were learned (cluster.start ", config.cluster.start,
                  "), got ", config.cluster.end);
  SDG_CHECK_USAGE(!facts.online || config.cluster.start <= condition.change,
                  "cluster.start: the head must begin no later than the conditions (condition.change ",
                  condition.change, "), got ", config.cluster.start);
}

namespace {

// The whole path of what a config names; nothing where it is not found.
std::string found_path(const std::string& name, const std::string& config_dir) {
  namespace fs = std::filesystem;
  try {
    return name.empty() ? "" : fs::absolute(config::find_beside(name, config_dir)).lexically_normal().string();
  } catch (const UsageError&) {
    throw;  // a variable or user that does not exist
  } catch (const Error&) {
    return "";
  }
}

// Each of "A,B" by its whole path; what is not there stays as it was written.
std::string found_parts(const std::string& names, const std::string& config_dir) {
  std::string out;
  std::istringstream parts(names);
  for (std::string part; std::getline(parts, part, ',');) {
    const auto found = found_path(part, config_dir);
    out += (out.empty() ? "" : ",") + (found.empty() ? part : found);
  }
  return out;
}

// Each of "ENCODER,DECODER" by its whole path; what is not there is left for the loading to name. Paths may hold commas
// themselves: the first reading of which both parts are there counts.
void resolve_autoencoder(RunConfig& config) {
  const std::string& given = config.data.autoencoder;
  if (given.empty()) return;
  std::string resolved = found_path(given, config.config_dir);
  for (size_t comma = given.find(','); resolved.empty() && comma != std::string::npos;
       comma = given.find(',', comma + 1)) {
    const auto encoder = found_path(given.substr(0, comma), config.config_dir),
               decoder = found_path(given.substr(comma + 1), config.config_dir);
    if (!encoder.empty() && !decoder.empty()) resolved = encoder + "," + decoder;
  }
  if (resolved.empty()) resolved = found_parts(given, config.config_dir);
  config.data.autoencoder = resolved;
}

// A run must find its files again from anywhere: what lies where it was named is remembered by its whole path.
void resolve_files(RunConfig& config) {
  namespace fs = std::filesystem;
  for (auto* path : {&config.model.weights, &config.condition.run})  // read once, before the first step
    *path = config::expand_path(*path);
  for (auto* path : {&config.condition.file, &config.align.weights, &config.eval.reference, &config.eval.weights}) {
    *path = config::expand_path(*path);
    std::error_code ignored;
    if (!path->empty() && fs::exists(*path, ignored)) *path = fs::absolute(*path).lexically_normal().string();
  }
}

// So is its data, which may also lie beside the configuration; what is shipped is not, for clones move.
void resolve_data(RunConfig& config) {
  namespace fs = std::filesystem;
  const fs::path found = found_path(config.data.path, config.config_dir);
  if (found.empty()) {  // opening the data will say so, with the places
    if (config.data.path.find(',') != std::string::npos)
      config.data.path = found_parts(config.data.path, config.config_dir);
    return;
  }
  const auto shipped = config::shipped_configs();
  const bool is_shipped =
      !shipped.empty() && fs::equivalent(found.parent_path(), config::find_config(shipped.front()).parent_path());
  if (!is_shipped) config.data.path = found.string();
}

// Short trials of a long configuration are common: the rate then rises to the end.
void shorten_warmup(RunConfig& config) {
  auto& train = config.train;
  if (train.warmup <= train.steps) return;
  log::warning(cat("train.warmup: ", train.warmup, " steps of warm-up are longer than the run (train.steps ",
                   train.steps, ") and were shortened to it"));
  train.warmup = train.steps;
}

// The two options are easily taken for each other.
void say_where_files_tell_it(const ConditionOptions& condition) {
  const auto source = condition.source;
  const bool other = source == Source::kFile || source == Source::kKmeans || source == Source::kRecluster;
  const bool centroid = condition.token == Token::kCentroid;
  const bool untold = centroid ? condition.told != Told::kCentroid
                               : condition.token == Token::kEmbedding && condition.told == Told::kStored;
  if (!other || !untold) return;
  log::warning(cat("condition.token: ", config::name(condition.token),
                   " is for condition.source online and changes nothing here (source ", config::name(source), "); ",
                   centroid ? "centroids of a file are told by condition.told=centroid"
                            : "features of a file are told by condition.told=feat"));
}

}  // namespace

std::vector<std::string> config_names(const std::string& list) {
  if (std::filesystem::is_regular_file(list)) return {list};
  std::vector<std::string> names;
  std::stringstream parts(list);
  for (std::string each; std::getline(parts, each, ',');) names.push_back(each);
  return names;
}

RunConfig load_config(const std::string& name, const std::vector<std::string>& overrides) {
  RunConfig config;
  const auto fields = config::Fields::of(config);
  std::filesystem::path path;
  for (const auto& each : config_names(name)) {
    const auto found = config::find_config(each);
    if (path.empty()) path = found;
    config::read_yaml(fields, found);
  }
  for (const auto& text : overrides) config::apply_override(fields, text);
  config.config_dir = std::filesystem::absolute(path).parent_path().string();
  resolve_data(config);
  resolve_autoencoder(config);
  resolve_files(config);
  shorten_warmup(config);
  say_where_files_tell_it(config.condition);
  check_config(config);
  return config;
}

RunConfig parse_config(const std::string& text, const std::string& where, const std::vector<std::string>& overrides) {
  RunConfig config;
  const auto fields = config::Fields::of(config);
  config::read_yaml_text(fields, text, where);
  for (const auto& override_text : overrides) config::apply_override(fields, override_text);
  check_config(config);
  return config;
}

}  // namespace sdg::recipe
