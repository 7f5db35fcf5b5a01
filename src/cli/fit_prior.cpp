#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/process.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/conditions/fitted_prior.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/learn/vector_prior_trainer.h"

namespace sdg::cli {
namespace {

struct Arguments {
  std::string run, checkpoint, device = "auto";
  learn::VectorPriorOptions options;
  int64_t seed = 0;
  bool json = false;
};

constexpr const char* kExamples =
    "  sdg fit-prior runs/mnist28                       writes runs/mnist28/prior.safetensors\n"
    "  sdg sample --run runs/mnist28 --prior learned    each picture under a vector that no image was told\n"
    "  sdg eval --run runs/mnist28 --prior learned      at what distance that draws\n";

void print(const Arguments& arguments, const std::string& out, const conditions::PriorFit& fit, double loss,
           double seconds) {
  if (arguments.json) {
    const nlohmann::ordered_json row{{"out", out},
                                     {"steps", arguments.options.steps},
                                     {"loss", loss},
                                     {"seconds", seconds},
                                     {"compared", fit.rows},
                                     {"drawn_distance", fit.drawn_distance},
                                     {"told_distance", fit.told_distance},
                                     {"drawn_nearest", fit.drawn_nearest},
                                     {"told_nearest", fit.told_nearest}};
    std::printf("%s\n", io::json_text(row).c_str());
    return;
  }
  std::printf("loss %.4f  %.1f s\n", loss, seconds);
  std::printf("%lld drawn vectors against as many told ones: Frechet distance %.4g (other told ones: %.4g)\n",
              static_cast<long long>(fit.rows), fit.drawn_distance, fit.told_distance);
  std::printf("nearest told vector, median: %.4g from a drawn one, %.4g from another told one\n", fit.drawn_nearest,
              fit.told_nearest);
}

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.device);
  const auto path = checkpoint::find_checkpoint(arguments.run, arguments.checkpoint);
  const auto trained = checkpoint::load_trained(path, device);
  conditions::check_tells_vectors(trained, "fit-prior");
  const auto out = conditions::prior_path(path);
  SDG_CHECK(::access(out.parent_path().c_str(), W_OK) == 0, out.parent_path().string(),
            ": cannot write into this folder");
  const auto& stored = *trained.network.stored;
  learn::VectorPriorTrainer trainer(stored.values.to(device, at::kFloat), stored.frequencies(), arguments.options,
                                    static_cast<uint64_t>(arguments.seed));
  say(cat(path.string(), ": ", stored.values.size(0), " vectors of ", stored.values.size(1), " numbers"));
  catch_signals();
  const auto start = std::chrono::steady_clock::now();
  double loss = 0;  // of about the last hundred steps
  ProgressBar bar("fit-prior", "steps/s");
  while (trainer.done() < arguments.options.steps) {
    const double last = trainer.advance();
    loss = trainer.done() == 1 ? last : 0.99 * loss + 0.01 * last;
    bar.update(trainer.done(), arguments.options.steps);
    if (caught_signal()) {
      say(cat("stopped at step ", trainer.done(), " of ", arguments.options.steps, "; nothing was written"));
      return 128 + caught_signal();
    }
  }
  bar.finish();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto fit = conditions::fit_of(trainer.prior(), trained, device);
  conditions::write_prior(out, trainer.prior(), trained);
  print(arguments, out.string(), fit, loss, seconds);
  say(cat("wrote ", out.string(), ": sdg sample and sdg eval draw by it with --prior learned"));
  return 0;
}

}  // namespace

Command fit_prior_command() {
  return {"fit-prior", "Learn to draw vectors like those that the images of a run are told, which no image was told.",
          kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            auto& options = arguments->options;
            declare_source(app, arguments->run, arguments->checkpoint, "fit to what images are told by");
            const auto number = [&](const char* flag, int64_t& target, const char* what, int64_t most) {
              declare(
                  app, flag, target,
                  own<int64_t>({.help = cat(what, "; default ", target), .min = 1, .max = static_cast<double>(most)}));
            };
            number("--steps", options.steps, "steps of training", 100000000);
            number("--batch", options.batch, "vectors a step", 1 << 20);
            number("--width", options.width, "numbers inside the network", 65536);
            number("--blocks", options.blocks, "residual blocks", 1000);
            declare(app, "--lr", options.lr,
                    own<double>({.help = cat("largest learning rate; default ", options.lr), .min = 1e-9, .max = 10}));
            declare(app, "--seed", arguments->seed,
                    own<int64_t>({.help = "the network is a function of the vectors, these options and this; default 0",
                                  .min = declared("seed").doc.min,
                                  .max = declared("seed").doc.max}));
            declare_device(app, arguments->device);
            app.add_flag("--json", arguments->json, "one JSON object on standard output");
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
