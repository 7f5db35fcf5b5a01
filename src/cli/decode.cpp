#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>

#include "cli/command.h"
#include "cli/terminal.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/data/latents.h"
#include "sdg/data/listing.h"
#include "sdg/io/folder_lock.h"
#include "sdg/io/image.h"
#include "sdg/train/latent_images.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string autoencoder, in, out = "decoded", device = "auto";
  int64_t first = 0, batch = 16, tile = 0;
  std::optional<int64_t> count;
};

constexpr const char* kExamples =
    "  sdg decode --in imagenet256-latents.safetensors --out decoded --count 100\n"
    "  sdg decode --in sd-latents.safetensors --autoencoder taesd_decoder.safetensors    a faster decoder of the same "
    "latents\n";

/// Paths below --out, each once: the image's own name where it is one that stays inside, else its number.
class FileNames {
 public:
  fs::path name(const data::LatentSource& latents, int64_t index) {
    const fs::path own = fs::path(latents.name(index)).lexically_normal();
    const bool inside = own.is_relative() && !own.empty() && *own.begin() != "..";
    if (inside && data::has_image_extension(own.string())) {
      const auto png = fs::path(own).replace_extension(".png");
      if (used_.insert(png.string()).second) return png;
    }
    char text[32];
    std::snprintf(text, sizeof text, "%06lld.png", static_cast<long long>(index));
    used_.insert(text);
    return text;
  }

 private:
  std::set<std::string> used_;
};

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.device);
  const data::LatentSource latents(arguments.in);
  const int64_t size = latents.size();
  SDG_CHECK_USAGE(arguments.first >= 0 && arguments.first < size, "--first: expected 0 to ", size - 1, ", got ",
                  arguments.first);
  SDG_CHECK_USAGE(!arguments.count || *arguments.count >= 1, "--count: must be at least 1");
  SDG_CHECK_USAGE(arguments.batch >= 1, "--batch: must be at least 1, got ", arguments.batch);
  const int64_t count = std::min(arguments.count.value_or(size), size - arguments.first);
  const auto decoder = train::load_decoder(latents.card(), arguments.autoencoder, device);
  const auto to_images = train::decode_with(decoder, device, arguments.tile);

  const io::FolderLock lock(arguments.out, "sdg decode");
  FileNames names;
  ProgressBar bar("decode", "img/s");
  for (int64_t done = 0; done < count;) {
    const int64_t first = arguments.first + done, n = std::min(arguments.batch, count - done);
    const auto images = to_images(decoder->space().to_model(latents.raw_means(first, n)));
    for (int64_t i = 0; i < n; ++i) {
      const auto path = fs::path(arguments.out) / names.name(latents, first + i);
      std::error_code failed;
      fs::create_directories(path.parent_path(), failed);
      SDG_CHECK(!failed, path.parent_path().string(), ": cannot make the folder: ", failed.message());
      io::write_png(path, images[i]);
    }
    done += n;
    bar.update(done, count);
  }
  bar.finish();
  say(cat("wrote ", count, " images of ", latents.card().image_size(), " pixels below ", arguments.out));
  return 0;
}

}  // namespace

Command decode_command() {
  return {"decode", "Turn latents back into images.", kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            app.add_option("--in", arguments->in, "latents, as sdg encode writes them")->type_name("FILE")->required();
            app.add_option("--out", arguments->out, "folder for the PNGs, named after the images; default decoded")
                ->type_name("DIR");
            app.add_option("--autoencoder", arguments->autoencoder,
                           "FILE, ENCODER,DECODER or a diffusers folder; default: the one the latents were made with")
                ->type_name("FILES");
            app.add_option("--first", arguments->first, "begin with this one")->type_name("N");
            app.add_option("--count", arguments->count, "how many; default all")->type_name("N");
            app.add_option("--batch", arguments->batch, "images under way at once; default 16")->type_name("N");
            app.add_option("--tile", arguments->tile,
                           "decode images larger than this in overlapping tiles; default: never")
                ->type_name("PIXELS");
            app.add_option("--device", arguments->device, "auto, cpu, cuda or cuda:N")->type_name("NAME");
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
