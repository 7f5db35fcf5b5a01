#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "cli/command.h"
#include "cli/process.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/evaluate/pictures.h"
#include "sdg/generate/content.h"
#include "sdg/image/image.h"
#include "sdg/image/image_folder.h"
#include "sdg/tensors/npz.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  SamplingArguments sampling;
  std::string out = "samples", npz;
  bool overwrite = false;
};

constexpr const char* kExamples =
    "  sdg sample --steps 25 --guidance 2.0             64 images of the newest run, into samples/\n"
    "  sdg sample --run runs/digits --cluster 17        one cluster only\n"
    "  sdg sample --count 50000 --npz samples.npz       one file for the ADM evaluator instead of PNGs\n";

constexpr int64_t kGridImages = 100;

struct Stopped {};  // a signal came

std::string file_name(int64_t index) {
  char text[32];
  std::snprintf(text, sizeof text, "%06lld.png", static_cast<long long>(index));
  return text;
}

// 000000.png and following, and the grid that earlier versions put among them.
bool is_ours(const std::string& path) {
  if (path == "grid.png") return true;
  const auto digits = std::min(path.find_first_not_of("0123456789"), path.size());
  return digits >= 6 && path.substr(digits) == ".png";
}

// Beside the folder, which holds the images and nothing else: samples -> samples-grid.png
fs::path grid_path(const std::string& out) {
  auto folder = fs::absolute(out).lexically_normal();
  if (folder.filename().empty()) folder = folder.parent_path();
  return folder.string() + "-grid.png";
}

std::string content_of(const checkpoint::Trained& trained, const generate::Request& request, const std::string& decoder,
                       const at::Device& device) {
  io::Digest digest;
  digest.text(generate::content_digest(trained)).text(device.is_cpu() ? "cpu" : "gpu");
  generate::add_content(digest, request, decoder);
  return digest.hex();
}

void write_grid(const Arguments& arguments, int64_t count) {
  std::vector<Tensor> shown;
  for (int64_t i = 0; i < std::min(count, kGridImages); ++i)
    shown.push_back(image::read_image(fs::path(arguments.out) / file_name(i)));
  int64_t columns = 1;
  while (columns * columns < static_cast<int64_t>(shown.size())) ++columns;
  const auto images = at::stack(shown);
  image::write_png(grid_path(arguments.out),
                   image::image_grid(images, columns, 2, evaluate::picture_scale(images.size(3))));
}

int draw_folder(const Arguments& arguments, const checkpoint::Trained& trained, generate::Request request,
                const std::string& decoder, const at::Device& device) {
  const auto count = request.sample.count;
  image::ImageFolder folder(arguments.out, {.program = "sdg sample",
                                            .content = content_of(trained, request, decoder, device),
                                            .writes = is_ours,
                                            .overwrite = arguments.overwrite});
  int64_t written = 0;
  while (folder.goes_on() && written < count && folder.has(file_name(written))) ++written;
  if (written > 0) say(cat(arguments.out, ": going on after ", written, " images of an earlier run"));
  if (written < count) {
    request.first = written;
    request.sample.count = count - written;
    catch_signals();
    ProgressBar bar("sample", "img/s");
    generate::generate(
        trained.info.config, trained.network, trained.prior, device, request,
        [&](const generate::Generated& piece) {
          for (int64_t i = 0; i < piece.images.size(0) && !caught_signal(); ++i)
            folder.write(file_name(written++), piece.images[i]);
          if (caught_signal()) throw Stopped();
        },
        bar.callback());
  }
  write_grid(arguments, count);
  folder.finish();
  say(cat("wrote ", count, " images to ", arguments.out, " and their grid to ", grid_path(arguments.out).string()));
  return 0;
}

int draw_npz(const Arguments& arguments, const checkpoint::Trained& trained, const generate::Request& request,
             const at::Device& device) {
  std::vector<Tensor> images, clusters;
  ProgressBar bar("sample", "img/s");
  generate::generate(
      trained.info.config, trained.network, trained.prior, device, request,
      [&](const generate::Generated& piece) {
        images.push_back(piece.images);
        clusters.push_back(piece.clusters);
      },
      bar.callback());
  bar.finish();
  const auto drawn = at::cat(images), conditions = at::cat(clusters);
  std::map<std::string, Tensor> arrays{{"arr_0", drawn.expand({-1, 3, -1, -1}).permute({0, 2, 3, 1}).contiguous()}};
  if (conditions.ge(0).all().item<bool>()) arrays["arr_1"] = conditions;
  tensors::write_npz(arguments.npz, arrays);
  say(cat("wrote ", drawn.size(0), " images to ", arguments.npz));
  return 0;
}

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.sampling.device);
  const auto trained = load(arguments.sampling, device);
  std::string decoder;
  const auto request = request_of(arguments.sampling, trained, trained.info.config.sample.count, device, &decoder);
  if (!arguments.npz.empty()) return draw_npz(arguments, trained, request, device);
  try {
    return draw_folder(arguments, trained, request, decoder, device);
  } catch (const Stopped&) {
    say(cat("stopped; the same command goes on in ", arguments.out));
    return 128 + caught_signal();
  }
}

}  // namespace

Command sample_command() {
  return {"sample", "Draw images from a trained network.", kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_sampling(app, arguments->sampling, "sample.count");
            auto* out = app.add_option("--out", arguments->out,
                                       "folder for 000000.png, 000001.png, ... and nothing else; their grid is written "
                                       "beside it, as DIR-grid.png")
                            ->type_name("DIR");
            auto* overwrite = app.add_flag("--overwrite", arguments->overwrite,
                                           "remove the images of an earlier sdg sample from DIR first");
            app.add_option("--npz", arguments->npz,
                           "write one .npz (arr_0 uint8 NHWC, arr_1 conditions) instead of PNGs")
                ->type_name("FILE")
                ->excludes(out)
                ->excludes(overwrite);
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
