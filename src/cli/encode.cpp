#include <cstdio>
#include <filesystem>
#include <optional>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/process.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/latents/encode.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/tensor_stream.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string autoencoder, in, out, device = "auto";
  std::optional<double> scale, shift;
  latents::EncodeOptions options;
};

constexpr const char* kExamples =
    "  sdg encode --autoencoder sd-vae-ft-mse/ --in imagenet/train --out imagenet256-latents.safetensors --flip "
    "--half\n"
    "  sdg encode --autoencoder taef2_encoder.pth,taef2_decoder.pth --in photos.tar --out "
    "photos.safetensors --psnr\n"
    "  sdg train --config imagenet256.yaml --set data.path=imagenet256-latents.safetensors   trains on them\n";

// Files are remembered by their whole paths: the latents may be used from another folder.
std::string absolute_files(const std::string& files) {
  std::string out;
  for (const auto& file : model::autoencoder_files(files))
    out += (out.empty() ? "" : ",") + fs::absolute(file).lexically_normal().string();
  return out;
}

void report_psnr(const fs::path& file) {
  const auto values = tensors::read_tensors(file).at("psnr", file.string());
  std::printf("PSNR of the reconstructions: mean %.2f dB, lowest %.2f, highest %.2f (%lld images)\n",
              values.mean().item<double>(), values.min().item<double>(), values.max().item<double>(),
              static_cast<long long>(values.numel()));
}

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.device);
  SDG_CHECK_USAGE(!arguments.scale || *arguments.scale != 0, "--scale: 0 makes all latents equal");
  data::DataOptions where;
  where.path = fs::absolute(arguments.in).lexically_normal().string();
  const auto opened = data::open_data(where, "");
  model::AutoencoderOptions known;
  known.scale = arguments.scale;
  known.shift = arguments.shift;
  auto options = arguments.options;
  options.autoencoder = absolute_files(arguments.autoencoder);
  const auto autoencoder = model::load_autoencoder(options.autoencoder, known, device);
  const auto& space = autoencoder->space();
  say(cat(opened.description, "; ", autoencoder->kind(), " autoencoder, ", space.channels, " channels at 1/",
          space.factor, ", scale ", space.scale, space.shift != 0 ? cat(", shift ", space.shift) : std::string()));
  SDG_CHECK(!fs::exists(arguments.out), arguments.out, ": is there already; remove it or choose another --out");

  catch_signals();
  ProgressBar bar("encode", "img/s");
  const auto result = latents::encode(opened, *autoencoder, device, arguments.out, options, bar.callback(),
                                      [] { return caught_signal() != 0; });
  bar.finish();
  if (!result.finished) {
    say(cat("stopped; what is done is in ", tensors::TensorStream::partial_path(arguments.out).string(),
            ", the same command goes on from there"));
    return 128 + caught_signal();
  }
  if (result.enlarged > 0)
    warn(cat(result.enlarged, " of the images are smaller than ", options.size, " pixels and were enlarged"));
  say(cat("wrote ", result.images, " latents to ", arguments.out, ": ", space.channels, "x",
          options.size / space.factor, "x", options.size / space.factor,
          result.found > 0 ? cat(" (", result.found, " of them found from an earlier run)") : std::string()));
  if (options.psnr) report_psnr(arguments.out);
  return 0;
}

}  // namespace

Command encode_command() {
  return {"encode", "Turn a data set of images into latents of an autoencoder, to be trained on.", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            auto& options = arguments->options;
            app.add_option("--autoencoder", arguments->autoencoder,
                           "KL (Stable Diffusion) or TAESD weights: FILE, ENCODER,DECODER or a diffusers folder")
                ->type_name("FILES")
                ->required();
            app.add_option("--in", arguments->in, "images: a folder, a .tar, a .safetensors file or one image")
                ->type_name("PATH")
                ->required();
            app.add_option("--out", arguments->out, "safetensors file of the latents")->type_name("FILE")->required();
            const auto pixels = [&](const char* flag, int64_t& target, const char* help, double min) {
              declare(app, flag, target, own<int64_t>({.help = help, .min = min, .max = 1 << 20}))->type_name("PIXELS");
            };
            pixels("--size", options.size, "side of the images, cut at the centre as in training; default 256", 1);
            app.add_flag("--flip", options.flip, "store the latents of the mirrored images too, for data.flip=true");
            app.add_flag("--half", options.half, "store float16: half the size");
            app.add_flag("--psnr", options.psnr, "decode again, report and store how near it comes");
            declare(app, "--batch", options.batch,
                    own<int64_t>({.help = "images at once on a GPU, and between two marks from which an interrupted "
                                          "run goes on; default 16",
                                  .min = 1,
                                  .max = 1 << 20}));
            pixels("--tile", options.tile, "encode images larger than this in overlapping tiles; default 0: never", 0);
            declare(app, "--scale", arguments->scale,
                    own<double>({.help = "latents are trained on as scale * (raw - shift); default: the autoencoder's "
                                         "own"}));
            declare(app, "--shift", arguments->shift, own<double>({.help = "see --scale"}));
            declare(app, "--max-broken", options.max_broken, declared("data.max_broken"), "Default 0.001.");
            declare_device(app, arguments->device);
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
