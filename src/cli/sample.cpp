#include <cstdio>
#include <filesystem>

#include "cli/command.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/io/image.h"
#include "sdg/io/npz.h"
#include "sdg/train/pictures.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  SamplingArguments sampling;
  std::string out = "samples", npz;
};

constexpr const char* kExamples =
    "  sdg sample --steps 25 --guidance 2.0             64 images of the newest run, into samples/\n"
    "  sdg sample --run runs/digits --cluster 17        one cluster only\n"
    "  sdg sample --count 50000 --npz samples.npz       one file for the ADM evaluator instead of PNGs\n";

constexpr int64_t kGridImages = 100;

std::string file_name(int64_t index) {
  char text[32];
  std::snprintf(text, sizeof text, "%06lld.png", static_cast<long long>(index));
  return text;
}

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.sampling.device);
  const auto trained = load(arguments.sampling, device);
  const auto& config = trained.info.config;
  const auto options = generate_options(arguments.sampling, trained, config.sample.count, device);
  const bool as_npz = !arguments.npz.empty();
  if (!as_npz) {
    std::error_code failed;
    fs::create_directories(arguments.out, failed);
    SDG_CHECK(!failed, arguments.out, ": cannot make the folder: ", failed.message());
  }

  std::vector<Tensor> kept, clusters;
  int64_t written = 0, kept_count = 0;
  ProgressBar bar("sample", "img/s");
  train::generate(
      config, trained.network, trained.prior, device, options,
      [&](const train::Generated& piece) {
        if (as_npz || kept_count < kGridImages) {
          kept.push_back(piece.images);
          kept_count += piece.images.size(0);
        }
        clusters.push_back(piece.clusters);
        for (int64_t i = 0; !as_npz && i < piece.images.size(0); ++i)
          io::write_png(fs::path(arguments.out) / file_name(written + i), piece.images[i]);
        written += piece.images.size(0);
      },
      bar.callback());
  bar.finish();

  const auto images = at::cat(kept);
  if (as_npz) {
    std::map<std::string, Tensor> arrays{{"arr_0", images.expand({-1, 3, -1, -1}).permute({0, 2, 3, 1}).contiguous()}};
    const auto drawn = at::cat(clusters);
    if (drawn.ge(0).all().item<bool>()) arrays["arr_1"] = drawn;
    io::write_npz(arguments.npz, arrays);
    say(cat("wrote ", written, " images to ", arguments.npz));
    return 0;
  }
  const auto shown = images.slice(0, 0, kGridImages);
  int64_t columns = 1;
  while (columns * columns < shown.size(0)) ++columns;
  const auto grid = fs::path(arguments.out) / "grid.png";
  io::write_png(grid, io::image_grid(shown, columns, 2, train::picture_scale(shown.size(3))));
  say(cat("wrote ", written, " images and ", grid.string()));
  return 0;
}

}  // namespace

Command sample_command() {
  return {"sample", "Draw images from a trained network.", kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_sampling(app, arguments->sampling);
            auto* out = app.add_option("--out", arguments->out, "folder for 000000.png, 000001.png, ... and grid.png")
                            ->type_name("DIR");
            app.add_option("--npz", arguments->npz,
                           "write one .npz (arr_0 uint8 NHWC, arr_1 conditions) instead of PNGs")
                ->type_name("FILE")
                ->excludes(out);
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
