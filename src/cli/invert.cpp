#include <cmath>
#include <cstdio>

#include "cli/command.h"
#include "cli/given_picture.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/evaluate/pictures.h"
#include "sdg/image/image.h"
#include "sdg/sample/guidance.h"

namespace sdg::cli {
namespace {

struct Arguments {
  SamplingArguments sampling;
  std::vector<std::string> pictures;
  std::string out;
};

constexpr const char* kExamples =
    "  sdg invert --pictures photo.png --solver rk4 --steps 50      to noise and back: how much is lost\n"
    "  sdg invert --pictures a.png b.png --cluster 3 --out back.png with the picture, its noise, and what comes back\n";

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.sampling.device);
  const auto trained = load(arguments.sampling, device);
  const auto request = request_of(arguments.sampling, trained, trained.info.config.sample.count, device);
  const bool guides = !generate::draws_unconditionally(request) && sample::guidance_of(request.sample).w != 1;
  SDG_CHECK_USAGE(!trained.prior.defined() || generate::names_condition(request) || !guides ||
                      !arguments.sampling.sample.contains("guidance"),
                  "--guidance: pictures are walked without a condition unless --cluster, --class or --map names one");
  SDG_CHECK_USAGE(!request.to_images, "invert: compares pixels, and this run draws latents");
  const auto space = picture_space("--pictures", trained, "", device);
  std::vector<Tensor> rows;
  for (const auto& path : arguments.pictures) rows.push_back(picture_for("--pictures", path, space));
  const auto x = at::stack(rows);
  const auto there = generate::invert(trained.info.config, trained.network, trained.prior, device, request, x);
  const auto images = there.images.cpu(), noise = there.noise.cpu();
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const double error = (images[at] - x[at]).square().mean().item<double>();
    std::printf("%s  PSNR %.2f dB  (noise: mean %.3f, standard deviation %.3f)\n", arguments.pictures[i].c_str(),
                10 * std::log10(4 / error), noise[at].mean().item<double>(), noise[at].std().item<double>());
  }
  if (arguments.out.empty()) return 0;
  std::vector<Tensor> shown;
  for (int64_t i = 0; i < x.size(0); ++i)
    for (const auto& each : {x[i], noise[i] / 3, images[i]}) shown.push_back(image::to_uint8(each));
  const auto strip = at::stack(shown);
  image::write_png(arguments.out, image::image_grid(strip, 3, 2, evaluate::picture_scale(strip.size(3))));
  say(cat("wrote ", arguments.out));
  return 0;
}

}  // namespace

Command invert_command() {
  return {"invert", "Walk pictures to their noise and back, and say what is lost.", kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_walking(app, arguments->sampling);
            app.add_option("--pictures", arguments->pictures, "pictures of the size that the network draws")
                ->required()
                ->type_name("FILE");
            app.add_option("--out", arguments->out, "each picture, its noise, and what comes back, as one PNG")
                ->type_name("FILE.png");
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
