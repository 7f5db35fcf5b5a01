#include <cmath>
#include <cstdio>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "generate/options_json_impl.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/network/assign.h"
#include "sdg/sample/guidance.h"

namespace sdg::cli {
namespace {

struct Arguments {
  SamplingArguments sampling;
  std::string data;
  int64_t images = 64, probes = 1;
  bool exact = false, json = false;
};

constexpr const char* kExamples =
    "  sdg likelihood --solver rk4 --steps 40           bits per dimension of 64 training images\n"
    "  sdg likelihood --data held-out/ --images 500 --probes 4 --json\n"
    "  sdg likelihood --exact                           small images: no estimate of the divergence\n";

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.sampling.device);
  const auto trained = load(arguments.sampling, device);
  const auto& config = trained.info.config;
  SDG_CHECK_USAGE(!trained.info.latents && config.data.format != data::Format::kLatents,
                  "likelihood: this run draws latents, whose density is none of images");
  const auto request = request_of(arguments.sampling, trained, config.sample.count, device);
  SDG_CHECK_USAGE(!request.guide, "--guide-checkpoint: a guided velocity is that of no density");
  SDG_CHECK_USAGE(sample::guidance_of(request.sample).w == 1 || generate::draws_unconditionally(request) ||
                      !arguments.sampling.sample.contains("guidance"),
                  "--guidance: a guided velocity is that of no density; take 0 or 1");
  SDG_CHECK_USAGE(request.sample.inner_guidance == 1 || !arguments.sampling.sample.contains("inner_guidance"),
                  "--inner-guidance: a guided velocity is that of no density; take 1");
  auto plain = request;
  const bool told =
      trained.prior.defined() && !generate::draws_unconditionally(request) && generate::names_condition(request);
  plain.sample.guidance = plain.sample.inner_guidance = 1;
  plain.sample.guidance_convention = sample::Convention::kW;
  for (const auto& [name, reason] : sample::idle(plain.sample))
    SDG_CHECK_USAGE(!arguments.sampling.sample.contains(name), sample_flag(name), ": ", reason);
  if (!told) {  // and led away from by no other network
    plain.sample.guidance = 0;
    plain.sample.guide = sample::Guide::kNull;
  }
  const auto options = data_options(arguments.data, trained);
  const data::Dataset dataset(data::open_data(options, arguments.data.empty() ? config.config_dir : ""), options);
  const auto indices = network::evaluation_subset(dataset, arguments.images, recipe::seed_of(config));
  const auto pixels = ((network::load_images(dataset, indices, at::kCPU) + 1) * 127.5).round().clamp(0, 255);
  const auto x = generate::dequantised(pixels, static_cast<uint64_t>(request.sample.seed), 0);
  const auto density = generate::log_densities(config, trained.network, trained.prior, device, plain, x,
                                               arguments.exact ? 0 : arguments.probes);
  const auto bits = generate::bits_per_dimension(density.to(at::kDouble), x[0].numel());
  const double mean = bits.mean().item<double>();
  const double error = bits.size(0) > 1 ? bits.std().item<double>() / std::sqrt(static_cast<double>(bits.size(0))) : 0;
  if (arguments.json) {
    nlohmann::ordered_json out{{"bits_per_dimension", mean},
                               {"standard_error", error},
                               {"count", bits.size(0)},
                               {"checkpoint", trained.path},
                               {"step", trained.info.step},
                               {"divergence", arguments.exact ? "exact" : "hutchinson"},
                               {"probes", arguments.exact ? 0 : arguments.probes},
                               {"conditional", told}};
    out["options"] = generate::to_json(plain.sample);
    out["options"].erase("count");  // of drawn images
    std::printf("%s\n", io::json_text(out).c_str());
  } else {
    std::printf("%.4f bits per dimension, standard error %.4f  (%lld images, %s, %s; %s)\n", mean, error,
                static_cast<long long>(bits.size(0)), arguments.exact ? "exact divergence" : "estimated divergence",
                told ? "under the condition named" : "without a condition", sample::steps_text(plain.sample).c_str());
  }
  return 0;
}

}  // namespace

Command likelihood_command() {
  return {
      "likelihood", "Bits per dimension of images under a trained network, without a condition where none is named.",
      kExamples, [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        declare_walking(app, arguments->sampling);
        app.add_option("--data", arguments->data, "images to look at; default: the training data")->type_name("PATH");
        declare(app, "--images", arguments->images,
                own<int64_t>({.help = "how many of them, a fixed random choice; default 64", .min = 1}));
        auto* probes =
            declare(app, "--probes", arguments->probes,
                    own<int64_t>({.help = "random signs an image that estimate the divergence; default 1", .min = 1}));
        app.add_flag("--exact", arguments->exact,
                     "work the divergence out, at as many backward passes as an image has numbers")
            ->excludes(probes);
        app.add_flag("--json", arguments->json, "one JSON object on standard output");
        return [arguments] { return execute(*arguments); };
      }};
}

}  // namespace sdg::cli
