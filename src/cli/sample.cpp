#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/given_picture.h"
#include "cli/joined_ranks.h"
#include "cli/process.h"
#include "cli/sample_output.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "generate/options_json_impl.h"
#include "sdg/conditions/told.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/evaluate/pictures.h"
#include "sdg/image/image.h"
#include "sdg/latents/latent_images.h"
#include "sdg/network/guidance_ways.h"

namespace sdg::cli {
namespace {

/// What the pictures of a folder are written as.
enum class Format { kPng, kWebp };
constexpr auto names_of(Format) {
  return std::array{"png", "webp"};
}

struct Arguments {
  SamplingArguments sampling;
  Format format = Format::kPng;
  std::string out = "samples", npz, latents, from, mask, between, trace, conditions;
  double strength = 1;
  bool overwrite = false, json = false;
  RankArguments ranks;
};

constexpr const char* kExamples =
    "  sdg sample --steps 25 --guidance 2.0             64 images of the newest run, into samples/\n"
    "  sdg sample --run runs/digits --cluster 17        one cluster only\n"
    "  sdg sample --cluster 3:0.5,7:0.5                 between two clusters\n"
    "  sdg sample --count 50000 --npz samples.npz       one file for the ADM evaluator instead of PNGs\n"
    "  sdg sample --from photo.png --strength 0.6       variations of a picture\n"
    "  sdg sample --from photo.png --mask hole.png      draw anew where the mask is white\n"
    "  sdg sample --conditions boxes.safetensors        image i follows the box or map of row i\n"
    "  sdg sample --between 3,8 --count 9               from image 3 to image 8\n"
    "  sdg sample --trace trace.png                     how the first image comes to be\n"
    "  sdg launch -n 8 sample --count 50000             eight processes draw, one a GPU; the images are the same\n";

// "3,8"
std::pair<int64_t, int64_t> two_images(const std::string& text) {
  const auto parts = parts_of({text});
  SDG_CHECK_USAGE(parts.size() == 2, "--between: expected two image numbers, as in 3,8, got \"", text, "\"");
  const auto number = own<int64_t>({.help = "", .min = 0});
  return {std::get<int64_t>(parse_option("--between", number, parts[0])),
          std::get<int64_t>(parse_option("--between", number, parts[1]))};
}

void lay_over_pictures(const Arguments& arguments, const checkpoint::Trained& trained, generate::Request& request,
                       const at::Device& device) {
  SDG_CHECK_USAGE(!arguments.from.empty() || arguments.mask.empty(), "--mask: needs the picture it belongs to, --from");
  if (!arguments.from.empty()) {
    const auto space = picture_space("--from", trained, arguments.sampling.autoencoder, device);
    request.from = picture_for("--from", arguments.from, space);
    request.strength = arguments.strength;
    if (!arguments.mask.empty()) request.drawn_anew = mask_for("--mask", arguments.mask, space);
  }
  if (!arguments.between.empty()) request.between = two_images(arguments.between);
}

int draw_trace(const Arguments& arguments, const checkpoint::Trained& trained, const generate::Request& request,
               const at::Device& device) {
  const auto predictions = generate::trace(trained.info.config, trained.network, trained.prior, device, request);
  const auto pictures = latents::to_pictures(request.to_images, predictions);
  image::write_png(arguments.trace,
                   image::image_grid(pictures, pictures.size(0), 2, evaluate::picture_scale(pictures.size(3))));
  say(cat("wrote ", pictures.size(0), " predictions of image 0 to ", arguments.trace));
  return 0;
}

// Of drawing and writing. CPU time is that of all threads of this process: other programs disturb it little.
struct Passed {
  double seconds, cpu_seconds;
};
class Stopwatch {
 public:
  Passed passed() const {
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start_;
    return {seconds.count(), static_cast<double>(std::clock() - cpu_start_) / CLOCKS_PER_SEC};
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::clock_t cpu_start_ = std::clock();
};

void print_json(const std::string& where, const checkpoint::Trained& trained, const generate::Request& request,
                const std::string& content, int64_t before, const Passed& passed) {
  nlohmann::ordered_json out{{"out", where},
                             {"checkpoint", trained.path},
                             {"step", trained.info.step},
                             {"content", content},
                             {"count", request.sample.count},
                             {"went_on_after", before},
                             {"seconds", passed.seconds},
                             {"cpu_seconds", passed.cpu_seconds}};
  if (request.effort->images > 0) out["network_calls_per_image"] = request.effort->calls_per_image();
  if (request.cluster >= 0) out["cluster"] = request.cluster;
  out["options"] = generate::to_json(request.sample);
  std::printf("%s\n", io::json_text(out).c_str());
}

// A folder may be called a.npz, but nobody means one.
void check_folder_name(const std::string& out) {
  const auto suffix = std::filesystem::path(out).extension();
  for (const auto* one : {".npz", ".safetensors", ".png", ".webp"})
    SDG_CHECK_USAGE(suffix != one, "--out: expected a folder for many pictures, got ", out,
                    "; --npz FILE.npz writes them to one file, --trace FILE.png the way of one");
}

// Who pays for two calls a step where the network learned to do with one should know.
void say_cheaper_ways(const checkpoint::Trained& trained, const generate::Request& request) {
  const auto& options = request.sample;
  if (options.guide == sample::Guide::kInput || options.guidance == 1 || generate::draws_unconditionally(request))
    return;
  for (const auto& way : network::ways_to_guide(trained.info.config, trained.prior.defined()))
    if (way.calls == 1) say(cat("this network can also be guided at 1 call an evaluation: ", way.how));
}

int draw(const Arguments& arguments, const checkpoint::Trained& trained, const generate::Request& request,
         const std::string& decoder, const at::Device& device) {
  if (!arguments.trace.empty()) return draw_trace(arguments, trained, request, device);
  const bool npz = !arguments.npz.empty(), latents = !arguments.latents.empty();
  SDG_CHECK_USAGE(!latents || request.to_images, "--latents: this run draws pixels; --npz writes them to one file");
  const auto& where = npz ? arguments.npz : latents ? arguments.latents : arguments.out;
  if (!npz && !latents) check_folder_name(where);
  const Output output{where, arguments.overwrite, arguments.format == Format::kWebp,
                      content_of(trained, request, decoder, device)};
  const Stopwatch watch;
  try {
    const auto before =
        npz       ? draw_npz(output, trained, request, device)
        : latents ? draw_latents(output, trained, request,
                                 latents::card_of_drawn(trained.info, arguments.sampling.autoencoder, device), device)
                  : draw_folder(output, trained, request, device);
    const auto passed = watch.passed();
    say(cat("wrote ", request.sample.count, " images to ", where,
            npz || latents ? std::string() : cat(" and their grid to ", grid_path(where))));
    if (request.effort->images > 0)
      say(cat(request.effort->calls_per_image(), " network calls an image (", sample::steps_text(request.sample), ")"));
    say_cheaper_ways(trained, request);
    if (arguments.json) print_json(where, trained, request, output.content, before, passed);
    return 0;
  } catch (const Stopped&) {
    say(cat("stopped; the same command goes on in ", where));
    return 128 + caught_signal();
  }
}

int execute(const Arguments& arguments) {
  auto& ranks = join_ranks(arguments.ranks, arguments.sampling.device);
  const auto device = parse_device(arguments.sampling.device);
  auto trained = load(arguments.sampling, device);
  std::string decoder;
  Tensor rows;
  if (!arguments.conditions.empty()) rows = conditions::tell_of(arguments.conditions, trained);
  auto request = request_of(arguments.sampling, trained, trained.info.config.sample.count, device, &decoder);
  SDG_CHECK_USAGE(!rows.defined() || !generate::draws_unconditionally(request),
                  "--conditions: guidance 0 draws without any condition; --guidance 1 follows it");
  request.rows = rows;
  lay_over_pictures(arguments, trained, request, device);
  request.ranks = &ranks;
  request.effort = std::make_shared<generate::Effort>();
  generate::check(trained.info.config, trained.network, trained.prior, request);
  if (ranks.rank() > 0) return help_draw(trained, request, device);
  const int code = draw(arguments, trained, request, decoder, device);
  generate::dismiss(request);
  leave_ranks();
  return code;
}

}  // namespace

Command sample_command() {
  return {
      "sample", "Draw images from a trained network.", kExamples, [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        declare_sampling(app, arguments->sampling, "sample.count");
        declare_tuned(app, arguments->sampling);
        auto* out =
            app.add_option("--out", arguments->out,
                           "folder for 000000.png (or .webp), 000001.png, ... and nothing else; their grid is written "
                           "beside it, as DIR-grid.png")
                ->type_name("DIR");
        auto* overwrite = app.add_flag("--overwrite", arguments->overwrite,
                                       "remove the images of an earlier sdg sample from DIR first");
        auto* npz = app.add_option("--npz", arguments->npz,
                                   "write one .npz instead of PNGs: arr_0 uint8 NHWC, arr_1 conditions where each "
                                   "image has one that is a number")
                        ->type_name("FILE.npz")
                        ->excludes(out)
                        ->excludes(overwrite);
        auto* latents = app.add_option("--latents", arguments->latents,
                                       "runs trained on latents: write them, undecoded, to one safetensors file "
                                       "instead, which sdg decode reads")
                            ->type_name("FILE.safetensors")
                            ->excludes(out)
                            ->excludes(overwrite)
                            ->excludes(npz);
        auto* format =
            declare(app, "--format", arguments->format,
                    own<Format>({.help = "of the pictures in DIR: png, or webp, which is smaller and as exact"}))
                ->excludes(npz)
                ->excludes(latents);
        auto* conditions =
            app.add_option("--conditions", arguments->conditions,
                           "runs of condition.source file: image i is told row i of this file (after its "
                           "last row the first again), made as the one that the run was trained on")
                ->type_name("FILE");
        for (const auto* other :
             {"--cluster", "--cluster-from", "--map", "--map-from", "--prior", "--prior-temperature"})
          conditions->excludes(app.get_option(other));
        auto* from =
            app.add_option("--from", arguments->from, "begin with this picture, of the size that is drawn, under noise")
                ->type_name("FILE");
        declare(
            app, "--strength", arguments->strength,
            own<double>({.help = "with --from: how much noise, 1 keeps nothing of the picture", .min = 0, .max = 1}))
            ->needs(from);
        app.add_option("--mask", arguments->mask,
                       "with --from: a grey picture of the same size; only where it is white the picture is drawn "
                       "anew, to fit the rest")
            ->type_name("FILE")
            ->needs(from);
        app.add_option("--between", arguments->between,
                       "images on the way from the noise of one image to that of another")
            ->type_name("A,B")
            ->excludes(from);
        app.add_option("--trace", arguments->trace,
                       "write only this strip: the predictions of the clean first image over time")
            ->type_name("FILE.png")
            ->excludes(out)
            ->excludes(npz)
            ->excludes(latents)
            ->excludes(format);
        app.add_flag("--json", arguments->json, "one JSON object on standard output: what was drawn, and how");
        declare_ranks(app, arguments->ranks);
        return [arguments] { return execute(*arguments); };
      }};
}

}  // namespace sdg::cli
