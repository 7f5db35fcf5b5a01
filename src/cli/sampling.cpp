#include "cli/sampling.h"

#include <algorithm>
#include <charconv>

#include "cli/declared.h"
#include "cli/terminal.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/conditions/fitted_prior.h"
#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/core/whole_number.h"
#include "sdg/generate/guide_network.h"
#include "sdg/image/image.h"
#include "sdg/latents/latent_images.h"
#include "sdg/network/assign.h"
#include "sdg/sample/guidance.h"
#include "sdg/study/tuned.h"

namespace sdg::cli {
namespace {

// --class takes an index or one of the names that the checkpoint remembers.
int64_t class_index(const std::string& text, const checkpoint::Trained& trained) {
  const auto& names = trained.info.class_names;
  const auto found = std::find(names.begin(), names.end(), text);
  if (found != names.end()) return found - names.begin();
  const auto index = whole_number(text);
  SDG_CHECK_USAGE(index && *index >= 0, "--class: expected a class name of the training data or an index, got \"", text,
                  "\"");
  SDG_CHECK_USAGE(!trained.prior.defined() || *index < trained.prior.size(0), "--class: this run has classes 0 to ",
                  trained.prior.size(0) - 1, ", got ", *index);
  return *index;
}

// Grey values (or indices of a palette) as cluster numbers, [L] row by row; larger pictures have one block of equal
// size a patch, whose middle counts.
Tensor painted_map(const std::string& path, const checkpoint::Trained& trained) {
  SDG_CHECK_USAGE(trained.prior.defined() && trained.prior.dim() == 2,
                  "--map: needs a run with cluster.level patch that was trained with conditions");
  const auto picture = image::read_png_classes(path).to(at::kLong);  // [H, W]
  int64_t side = 1;
  while (side * side < trained.prior.size(1)) ++side;
  SDG_CHECK_USAGE(picture.size(0) == picture.size(1) && picture.size(0) % side == 0, path,
                  ": a map of clusters must be square with a side of ", side, " or a multiple of it, got ",
                  picture.size(1), " x ", picture.size(0));
  const auto block = picture.size(0) / side;
  const auto middles = at::arange(side) * block + block / 2;
  const auto map = picture.index_select(0, middles).index_select(1, middles).flatten();
  const auto clusters = trained.info.config.cluster.clusters, most = map.max().item<int64_t>();
  SDG_CHECK_USAGE(most < clusters, path, ": this run has clusters 0 to ", clusters - 1, ", the map holds ", most,
                  " in patch ", map.argmax().item<int64_t>());
  return map;
}

// The clusters that the network sees in an image file, or in image N of the training data: [L], or [] of the whole
// image.
Tensor clusters_seen_in(const std::string& flag, const std::string& text, const checkpoint::Trained& trained,
                        const at::Device& device) {
  const auto& config = trained.info.config;
  int64_t index = 0;
  const auto* const end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(text.data(), end, index);
  const bool number = failed == std::errc() && stop == end;
  auto options = config.data;
  if (!number) {
    SDG_CHECK_USAGE(!trained.info.latents, flag,
                    ": this run was trained on latents; name the number of a training "
                    "image, or encode the file first");
    SDG_CHECK_USAGE(!trained.network.rested.defined(), flag,
                    ": the clusters of this run rest (cluster.end), and the network has moved on since: it cannot tell "
                    "that of another picture; name the number of a training image");
    options.path = text;
    options.format = data::Format::kImage;
    index = 0;
  }
  SDG_CHECK_USAGE(!number || !trained.info.converted, flag,
                  ": a converted checkpoint knows no training images; name a file");
  const auto opened = data::open_data(options, number ? config.config_dir : "");
  if (number) checkpoint::check_own_data(trained, opened);
  const data::Dataset dataset(opened, options);
  SDG_CHECK_USAGE(index >= 0 && index < dataset.size(), flag, ": the training data has images 0 to ",
                  dataset.size() - 1, ", got ", index);
  return network::assign_clusters(config, trained.network, dataset, {index}, device)[0];
}

Tensor map_seen_in(const std::string& text, const checkpoint::Trained& trained, const at::Device& device) {
  SDG_CHECK_USAGE(trained.prior.defined() && trained.prior.dim() == 2,
                  "--map-from: needs a run with cluster.level patch that was trained with conditions");
  return clusters_seen_in("--map-from", text, trained, device);
}

int64_t cluster_seen_in(const std::string& text, const checkpoint::Trained& trained, const at::Device& device) {
  SDG_CHECK_USAGE(trained.network.head && trained.prior.defined() && trained.prior.dim() == 1,
                  "--cluster-from: needs a run that finds one cluster an image itself (condition.source online)");
  const auto cluster = clusters_seen_in("--cluster-from", text, trained, device).item<int64_t>();
  say(cat(text, ": cluster ", cluster));
  return cluster;
}

// "17", or shares: "17:0.5,203:0.5".
void read_clusters(const std::string& text, generate::Request& request) {
  const auto number = own<int64_t>({.help = "", .min = 0});
  if (text.find(':') == std::string::npos) {
    request.cluster = std::get<int64_t>(parse_option("--cluster", number, text));
    return;
  }
  for (const auto& part : parts_of({text})) {
    const auto colon = part.find(':');
    SDG_CHECK_USAGE(colon != std::string::npos, "--cluster: expected K or K:SHARE,K:SHARE, got \"", text, "\"");
    request.mixture.emplace_back(
        std::get<int64_t>(parse_option("--cluster", number, part.substr(0, colon))),
        std::get<double>(parse_option("--cluster", own<double>({.help = "", .min = 0}), part.substr(colon + 1))));
  }
  if (request.mixture.size() == 1 && request.mixture[0].second > 0) {  // a share of all is the cluster itself
    request.cluster = request.mixture[0].first;
    request.mixture.clear();
  }
}

// Refuses what this network or the other arguments leave without effect.
void check_effect(const SamplingArguments& arguments, const checkpoint::Trained& trained,
                  const generate::Request& request) {
  const auto& source = trained.info.config.condition.source;
  const bool of_labels = source == recipe::Source::kLabel;
  SDG_CHECK_USAGE(arguments.config_class.empty() || of_labels, "--class: this run knows no labels (condition.source ",
                  config::name(source), ")",
                  source == recipe::Source::kNone ? "" : "; --cluster names one of its clusters");
  SDG_CHECK_USAGE(arguments.cluster.empty() || !of_labels,
                  "--cluster: this run was trained on labels; --class names one of its classes");
  const std::string chosen = !arguments.cluster.empty()        ? "--cluster"
                             : !arguments.cluster_from.empty() ? "--cluster-from"
                             : !arguments.config_class.empty() ? "--class"
                             : !arguments.map.empty()          ? "--map"
                             : !arguments.map_from.empty()     ? "--map-from"
                                                               : "";
  const auto& sample = request.sample;
  const bool pixels = !trained.info.latents && trained.info.config.data.format != data::Format::kLatents;
  SDG_CHECK_USAGE(sample.clip == sample::Clip::kNone || pixels, "--clip: bounds pixels, and this run draws latents");
  if (!trained.prior.defined()) {
    const auto why = source == recipe::Source::kNone
                         ? std::string("this run was trained without conditions (condition.source none)")
                         : cat("the conditions of this run had not begun at step ", trained.info.step);
    SDG_CHECK_USAGE(chosen.empty(), chosen, ": ", why);
    for (const auto& [name, value] : arguments.sample) {
      // 0 and 1 ask for no guidance, which is what is drawn.
      const bool asks_for_none = name == "guidance" && (sample.guidance == 0 || sample::guidance_of(sample).w == 1);
      const bool guides = name.starts_with("guid") && arguments.guide.empty();
      SDG_CHECK_USAGE(!guides || asks_for_none, sample_flag(name), ": ", why, ", so that there is nothing to guide by");
    }
  }
  SDG_CHECK_USAGE(sample.guidance_begin <= sample.guidance_end, "--guidance-interval: begin ", sample.guidance_begin,
                  " is after end ", sample.guidance_end);
  SDG_CHECK_USAGE(chosen.empty() || !generate::draws_unconditionally(request), chosen,
                  ": guidance 0 draws without any condition; --guidance 1 follows it, more follows it more closely");
  for (const auto* name : {"prior", "prior_temperature"}) {
    const bool idle = !chosen.empty() || generate::draws_unconditionally(request);
    SDG_CHECK_USAGE(!idle || !arguments.sample.contains(name), sample_flag(name), ": ",
                    chosen.empty() ? "guidance 0 draws without any condition" : chosen + " says what is drawn",
                    ", so that nothing is drawn by its frequency");
  }
  const auto& stored = trained.network.stored;
  SDG_CHECK_USAGE(arguments.cluster.empty() || !stored || stored->weights.defined() || stored->clusters.defined(),
                  "--cluster: images of this run are told rows of ", trained.info.config.condition.file,
                  ", not clusters; --conditions FILE draws under rows of a file");
  for (const auto& [name, reason] : sample::idle(sample))
    SDG_CHECK_USAGE(!arguments.sample.contains(name), sample_flag(name), ": ", reason,
                    sample_flag(name) == "--guidance-interval" ? "; name another with --guidance" : "");
}

}  // namespace

std::vector<std::string> drawing_flags() {
  auto flags = sample_flags();
  flags.insert(flags.end(), {"--cluster", "--cluster-from", "--class", "--map", "--map-from", "--guide-checkpoint",
                             "--guide-weights", "--untuned"});
  return flags;
}

void declare_source(CLI::App& app, std::string& run, std::string& checkpoint, const std::string& what) {
  auto* folder =
      app.add_option("run,--run", run, what + " the last checkpoint of this run; default: the newest run under runs/")
          ->type_name("DIR");
  app.add_option("--checkpoint", checkpoint, what + " this checkpoint instead (also one of sdg convert)")
      ->type_name("FILE")
      ->excludes(folder);
}

void declare_weights(CLI::App& app, checkpoint::Weights& weights) {
  declare(app, "--weights", weights,
          own<checkpoint::Weights>({.help = "ema (the average) or model (the raw weights)"}));
}

void declare_device(CLI::App& app, std::string& device) {
  app.add_option("--device", device, "auto, cpu, cuda or cuda:N")->type_name("NAME");
}

namespace {

// All but the options of the run, which stand before.
void declare_conditions(CLI::App& app, SamplingArguments& arguments) {
  auto* cluster =
      app.add_option("--cluster", arguments.cluster,
                     "draw only this cluster, or under the mean of several with their shares: 17:0.5,203:0.5; default: "
                     "as frequent as in training")
          ->type_name("K|K:SHARE,...");
  app.add_option("--cluster-from", arguments.cluster_from,
                 "draw only the cluster that the network sees in this image: a file, or the number of a training image")
      ->type_name("FILE|N")
      ->excludes(cluster);
  app.add_option("--class", arguments.config_class, "draw only this class (runs trained on labels): a name or an index")
      ->type_name("C")
      ->excludes(cluster);
  auto* map =
      app.add_option(
             "--map", arguments.map,
             "patch-level runs: a painted grey picture whose values are cluster numbers, one pixel (or one block of "
             "equal size) a patch; all images follow it")
          ->type_name("FILE.png")
          ->excludes(cluster);
  app.add_option("--map-from", arguments.map_from,
                 "patch-level runs: all images follow the map of clusters that the network sees in this image: a file, "
                 "or the number of a training image")
      ->type_name("FILE|N")
      ->excludes(cluster)
      ->excludes(map);
  auto* guide = app.add_option("--guide-checkpoint", arguments.guide,
                               "guide by this weaker network (autoguidance; sets --guide network): an earlier "
                               "checkpoint of the run, or with --guide-weights model the raw weights of the same one")
                    ->type_name("FILE");
  declare(app, "--guide-weights", arguments.guide_weights,
          own<checkpoint::Weights>({.help = "of --guide-checkpoint: ema or model"}))
      ->needs(guide);
  declare_weights(app, arguments.weights);
  app.add_option("--autoencoder", arguments.autoencoder,
                 "runs trained on latents: what decodes them; default: what made them")
      ->type_name("FILES");
  declare_device(app, arguments.device);
}

}  // namespace

void declare_sampling(CLI::App& app, SamplingArguments& arguments, const std::string& count) {
  declare_source(app, arguments.run, arguments.checkpoint, "draw from");
  declare_sample(app, arguments.sample, count);
  declare_conditions(app, arguments);
}

void declare_walking(CLI::App& app, SamplingArguments& arguments) {
  declare_source(app, arguments.run, arguments.checkpoint, "walk by");
  declare_sample(app, arguments.sample, "", {"count", "prior", "prior_temperature", "batch", "precision", "graph"});
  declare_conditions(app, arguments);
}

void declare_tuned(CLI::App& app, SamplingArguments& arguments) {
  arguments.tuned = true;
  app.add_flag_callback(
      "--untuned", [&arguments] { arguments.tuned = false; },
      "draw as the run's configuration says, also where sdg tune has found better (sampling.json in the run's folder)");
}

namespace {

// --guidance 1 leads away from nothing, by whatever network.
bool asks_for_none(const SamplingArguments& arguments) {
  sample::SampleOptions plain;
  plain.guidance = 1;
  lay_over(plain, arguments.sample);
  return arguments.sample.contains("guidance") && sample::guidance_of(plain).w == 1;
}

// What was found for the checkpoint that the arguments mean; with `speak` says so, or why it does not count.
std::optional<study::Tuned> tuned_for(const SamplingArguments& arguments, const std::filesystem::path& path,
                                      bool speak) {
  if (!arguments.tuned || !arguments.checkpoint.empty()) return std::nullopt;
  const auto run = checkpoint::RunFolder::of_checkpoint(path).root();
  auto out = study::read_tuned(run);
  if (!out) return out;
  const auto where = study::tuned_path(run).string();
  const auto step =
      checkpoint::parse_info(tensors::read_tensor_header(checkpoint::find_checkpoint(run.string(), "")), where).step;
  if (out->step != step) {
    if (speak)
      warn(cat(where, ": was found at step ", out->step, ", the run is at step ", step,
               " now: it is not followed; sdg tune ", run.string(), " finds it anew"));
    return std::nullopt;
  }
  if (speak) {
    std::vector<std::string> parts;
    for (const auto& [name, value] : out->options)
      if (!arguments.sample.contains(name)) parts.push_back(cat(name, " ", value));
    if (!out->average.empty() && arguments.weights == checkpoint::Weights::kEma) parts.push_back(out->average);
    if (!out->guide.empty() && arguments.guide.empty() && !arguments.sample.contains("guide") &&
        !asks_for_none(arguments))
      parts.push_back(out->guide);
    say(cat("drawing as tuned (", where, "): ", join(parts), "; --untuned leaves that"));
  }
  return out;
}

}  // namespace

void add_vectors(checkpoint::Trained& trained, const at::Device& device) {
  auto prior = conditions::read_prior(conditions::prior_path(trained.path), trained);
  prior.to(device);
  trained.network.vectors = std::make_shared<network::VectorPrior>(std::move(prior));
}

checkpoint::Trained load(const SamplingArguments& arguments, const at::Device& device) {
  auto path = checkpoint::find_checkpoint(arguments.run, arguments.checkpoint);
  const auto tuned = tuned_for(arguments, path, true);
  if (tuned && !tuned->average.empty() && arguments.weights == checkpoint::Weights::kEma)
    path = checkpoint::RunFolder::of_checkpoint(path).root() / tuned->average;
  auto trained = checkpoint::load_trained(path, device, arguments.weights);
  auto sample = trained.info.config.sample;
  lay_over(sample, arguments.sample);
  if (sample.prior == sample::Prior::kLearned) add_vectors(trained, device);
  say(cat(path.string(), ": ", trained.info.config.model.name, ", condition ",
          config::name(trained.info.config.condition.source), ", step ", trained.info.step));
  return trained;
}

data::DataOptions data_options(const std::string& data, const checkpoint::Trained& trained) {
  auto options = trained.info.config.data;
  if (data.empty()) {
    SDG_CHECK_USAGE(!trained.info.converted, trained.path,
                    ": a converted checkpoint knows no data set; name one with --data");
    return options;
  }
  options.path = data;
  options.format = data::Format::kAuto;
  options.flip = false;
  return options;
}

generate::Request request_of(const SamplingArguments& arguments, const checkpoint::Trained& trained,
                             int64_t default_count, const at::Device& device, std::string* decoder_id) {
  generate::Request request{.sample = trained.info.config.sample};
  request.sample.count = default_count;
  const auto tuned = tuned_for(arguments, trained.path, false);
  if (tuned) {
    const auto fields = config::Fields::of(request.sample);
    const auto where = study::tuned_path(checkpoint::RunFolder::of_checkpoint(trained.path).root()).string();
    for (const auto& [name, value] : tuned->options) {
      const auto* field = fields.find(name);
      SDG_CHECK(field, where, ": unknown option ", name);
      const auto parsed = config::try_parse(*field, value);
      SDG_CHECK(parsed.problem.empty(), where, ": ", name, ": ", parsed.problem,
                "; sdg tune finds it anew, --untuned draws without");
      config::assign(*field, parsed.value);
    }
  }
  lay_over(request.sample, arguments.sample);
  if (!arguments.guide.empty()) {
    SDG_CHECK_USAGE(!arguments.sample.contains("guide") || request.sample.guide == sample::Guide::kNetwork,
                    "--guide-checkpoint: needs --guide network");
    request.sample.guide = sample::Guide::kNetwork;
  }
  if (!arguments.cluster.empty()) read_clusters(arguments.cluster, request);
  check_effect(arguments, trained, request);
  if (!arguments.map.empty()) request.map = painted_map(arguments.map, trained);
  if (!arguments.map_from.empty()) request.map = map_seen_in(arguments.map_from, trained, device);
  if (!arguments.cluster_from.empty()) request.cluster = cluster_seen_in(arguments.cluster_from, trained, device);
  const bool own_guide = tuned && !tuned->guide.empty() && arguments.guide.empty() &&
                         request.sample.guide == sample::Guide::kNetwork && sample::guidance_of(request.sample).w != 1;
  if (!arguments.guide.empty() || own_guide) {
    const auto found = checkpoint::RunFolder::of_checkpoint(trained.path).root() / (tuned ? tuned->guide : "");
    auto guide = std::make_shared<checkpoint::Trained>(
        own_guide ? checkpoint::load_trained(found, device)
                  : checkpoint::load_trained(arguments.guide, device, arguments.guide_weights));
    generate::check_guide(trained, *guide);
    request.guide = std::move(guide);
  }
  if (!arguments.config_class.empty()) request.cluster = class_index(arguments.config_class, trained);
  request.to_images = latents::to_images_of(trained.info, arguments.autoencoder, device, decoder_id);
  return request;
}

}  // namespace sdg::cli
