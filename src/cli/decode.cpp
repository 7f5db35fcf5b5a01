#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/process.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/data/listing.h"
#include "sdg/data/opened.h"
#include "sdg/image/image_folder.h"
#include "sdg/io/digest.h"
#include "sdg/latents/latent_images.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string autoencoder, in, out = "decoded", device = "auto";
  int64_t first = 0, batch = 16, tile = 0;
  std::optional<int64_t> count;
  bool overwrite = false;
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

// Of all latents, so that parts of them get the names that they have among all.
std::vector<std::string> names_of(const data::LatentSource& latents) {
  FileNames names;
  std::vector<std::string> out;
  for (int64_t i = 0; i < latents.size(); ++i) out.push_back(names.name(latents, i).generic_string());
  return out;
}

std::string content_of(const Arguments& arguments, const data::LatentSource& latents, int64_t count,
                       const std::string& decoder, const at::Device& device) {
  constexpr int64_t kAtOnce = 256;
  io::Digest digest;
  digest.text(decoder).number(arguments.tile).number(arguments.first).number(count);
  digest.text(device.is_cpu() ? "cpu" : "gpu");
  for (int64_t done = 0; done < count; done += kAtOnce)
    digest.tensor(latents.raw_means(arguments.first + done, std::min(kAtOnce, count - done)));
  return digest.hex();
}

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.device);
  data::DataOptions where;
  where.path = arguments.in;
  where.format = data::Format::kLatents;
  const auto opened = data::open_data(where, "");
  const auto& latents = *opened.latents;
  const int64_t size = latents.size();
  SDG_CHECK_USAGE(arguments.first < size, "--first: expected 0 to ", size - 1, ", got ", arguments.first);
  const int64_t count = std::min(arguments.count.value_or(size), size - arguments.first);
  const auto decoder = latents::load_decoder(latents.card(), arguments.autoencoder, device);
  const auto to_images = latents::decode_with(decoder, device, arguments.tile);

  const auto names = names_of(latents);
  const std::set<std::string> ours(names.begin(), names.end());
  image::ImageFolder folder(arguments.out,
                            {.program = "sdg decode",
                             .content = content_of(arguments, latents, count, decoder->decoder_id(), device),
                             .writes = [&](const std::string& path) { return ours.contains(path); },
                             .overwrite = arguments.overwrite});
  const auto name = [&](int64_t i) { return names[static_cast<size_t>(arguments.first + i)]; };
  int64_t done = 0;
  while (folder.goes_on() && done < count && folder.has(name(done))) ++done;
  if (done > 0) say(cat(arguments.out, ": going on after ", done, " images of an earlier run"));

  catch_signals();
  ProgressBar bar("decode", "img/s");
  bar.begin_at(done);
  while (done < count) {
    const int64_t n = std::min(arguments.batch, count - done);
    const auto raw = latents.raw_means(arguments.first + done, n);
    SDG_CHECK(is_finite(raw), arguments.in, ": the latents ", arguments.first + done, " to ",
              arguments.first + done + n - 1, " hold NaN or infinity");
    const auto images = to_images(decoder->space().to_model(raw));
    for (int64_t i = 0; i < n; ++i) folder.write(name(done + i), images[i]);
    done += n;
    bar.update(done, count);
    if (caught_signal()) {
      bar.finish();
      say(cat("stopped; the same command goes on in ", arguments.out));
      return 128 + caught_signal();
    }
  }
  bar.finish();
  folder.finish();
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
            declare(app, "--first", arguments->first, own<int64_t>({.help = "begin with this one", .min = 0}));
            declare(app, "--count", arguments->count,
                    own<int64_t>({.help = "at most this many; default all", .min = 1}));
            declare(app, "--batch", arguments->batch,
                    own<int64_t>({.help = "images under way at once; default 16", .min = 1, .max = 1 << 20}));
            declare(app, "--tile", arguments->tile,
                    own<int64_t>({.help = "decode images larger than this in overlapping tiles; default 0: never",
                                  .min = 0,
                                  .max = 1 << 20}))
                ->type_name("PIXELS");
            app.add_flag("--overwrite", arguments->overwrite,
                         "remove images of these names from the folder first; other files there are never touched");
            declare_device(app, arguments->device);
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
