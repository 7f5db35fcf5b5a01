#include <cstdio>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/looks.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/evaluate/pictures.h"
#include "sdg/image/image.h"
#include "sdg/metrics/segmentation.h"
#include "sdg/regions/mask_file.h"
#include "sdg/regions/overlay.h"
#include "sdg/regions/patch_clusters.h"
#include "sdg/regions/refine.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::cli {
namespace {

struct Arguments {
  LookArguments look;
  std::string masks, truth, picture, out = "masks.safetensors";
  regions::PatchClusterOptions how;
  regions::RefineOptions refined{.radius = 0};  // 0: maps stay as they were found
  int64_t classes = 0, seed = 0;
  std::optional<int64_t> ignored;
  bool json = false;
};

constexpr int64_t kShown = 32, kColumns = 8;

constexpr const char* kExamples =
    "  sdg masks --extractor dino-vits8 --data photos/ --size 64 --clusters 27       clusters of patches\n"
    "  sdg masks --run runs/none --clusters 12 --truth scenes.safetensors            of a network's own, and their "
    "mIoU\n"
    "  sdg masks --masks segmentation/ --data photos/ --size 64 --classes 21 --ignored 255    given PNG files\n"
    "  sdg train --config self-guided/cocostuff64-mask --set condition.file=masks.safetensors\n";

Tensor given(const std::string& path, const Looks& looks, int64_t classes, std::optional<int64_t> ignored) {
  const regions::MaskFiles files(path, *looks.opened().images);
  auto out = at::empty({looks.images(), looks.size(), looks.size()}, at::kByte);
  worker_pool().run(looks.images(), [&](int64_t i) { out[i].copy_(files.square(i, looks.size(), classes, ignored)); });
  return out;
}

// Classes 0 … of maps that may hold 255 for none.
int64_t classes_of(const Tensor& maps, const std::string& where) {
  const auto named = maps.masked_select(maps.ne(network::StoredConditions::kNoClass));
  SDG_CHECK(named.numel() > 0, where, ": no pixel has a class");
  return named.max().item<int64_t>() + 1;
}

// The maps' borders at the edges of the pictures.
void refine(Tensor& maps, const Looks& looks, const regions::RefineOptions& options) {
  ProgressBar bar("refine", "img/s");
  constexpr int64_t kAtOnce = 256;
  for (int64_t first = 0; first < maps.size(0); first += kAtOnce) {
    const auto count = std::min(kAtOnce, maps.size(0) - first);
    worker_pool().run(count, [&](int64_t i) {
      maps[first + i].copy_(regions::refine(maps[first + i], looks.picture(first + i), options));
    });
    bar.update(first + count, maps.size(0));
  }
  bar.finish();
}

void draw(const std::string& path, const Looks& looks, const Tensor& maps) {
  std::vector<Tensor> pictures;
  const auto scale = evaluate::picture_scale(looks.size());
  for (int64_t i = 0; i < std::min(kShown, looks.images()); ++i)
    pictures.push_back(regions::with_map(looks.picture(i), maps[i], scale));
  image::write_png(path, image::image_grid(at::stack(pictures), kColumns));
}

struct Truth {
  Tensor maps;
  int64_t classes = 0;
};

std::optional<Truth> truth_of(const Arguments& arguments, const Looks& looks) {
  if (arguments.truth.empty()) return std::nullopt;
  const auto maps = given(arguments.truth, looks, 0, arguments.ignored);
  return Truth{maps, classes_of(maps, arguments.truth)};
}

metrics::SegmentationScores scored(const Tensor& maps, int64_t classes, const Truth& truth) {
  metrics::SegmentationScorer scorer(classes, truth.classes, network::StoredConditions::kNoClass);
  for (int64_t i = 0; i < maps.size(0); ++i) {
    const auto map = maps[i].to(at::kLong);
    const auto unnamed = map.eq(int64_t{network::StoredConditions::kNoClass});
    scorer.add(map.masked_fill(unnamed, metrics::SegmentationScorer::kUnnamed), truth.maps[i]);
  }
  return scorer.scores();
}

void print(const Arguments& arguments, const Looks& looks, const Tensor& vectors,
           const std::optional<metrics::SegmentationScores>& scores) {
  const auto classes = vectors.size(1);
  const double each = vectors.sum(1).mean().item<double>();
  const auto used = vectors.any(0).sum().item<int64_t>();
  if (arguments.json) {
    nlohmann::ordered_json row{{"out", arguments.out}, {"images", looks.images()},
                               {"size", looks.size()}, {"classes", classes},
                               {"used", used},         {"classes_an_image", each}};
    if (scores)
      row.update({{"miou", scores->miou},
                  {"accuracy", scores->accuracy},
                  {"miou_majority", scores->miou_majority},
                  {"accuracy_majority", scores->accuracy_majority}});
    std::printf("%s\n", io::json_text(row).c_str());
    return;
  }
  std::printf("%lld images, %lld of %lld classes have pixels, %.2f an image\n", static_cast<long long>(looks.images()),
              static_cast<long long>(used), static_cast<long long>(classes), each);
  if (scores)
    std::printf(
        "against the true masks: mIoU %.4f, accuracy %.4f (each cluster for the class it overlaps most: %.4f, "
        "%.4f)\n",
        scores->miou, scores->accuracy, scores->miou_majority, scores->accuracy_majority);
}

int execute(const Arguments& arguments) {
  const Looks looks(arguments.look);
  const bool are_given = !arguments.masks.empty();
  const auto truth = truth_of(arguments, looks);  // before the work: a wrong file must not cost it
  auto origin = looks.origin();
  Tensor maps;
  int64_t classes = arguments.how.kmeans.clusters;
  if (are_given) {
    maps = given(arguments.masks, looks, arguments.classes, arguments.ignored);
    classes = arguments.classes > 0 ? arguments.classes : classes_of(maps, arguments.masks);
    origin = {.made_from = arguments.masks,
              .label_free = to_text(checkpoint::Verdict::kUnknown),
              .tapped = "masks as given",
              .images = origin.images};
  } else {
    auto how = arguments.how;
    how.kmeans.seed = static_cast<uint64_t>(arguments.seed);
    looks.side();
    ProgressBar bar("patches", "img/s");
    const auto patches = [&](const std::vector<int64_t>& indices) { return looks.patches(indices); };
    maps = regions::enlarge(regions::cluster_patches(patches, looks.images(), how, bar.callback()).maps, looks.size());
    bar.finish();
    if (arguments.refined.radius > 0) refine(maps, looks, arguments.refined);
  }
  auto file = conditions::pseudo_label_file({.ids = {}, .clusters = classes}, origin);
  file.tensors.erase("ids");
  file.metadata["map_channels"] = std::to_string(classes);
  file.tensors["maps"] = maps;
  file.tensors["vectors"] = regions::classes_in(maps, classes);
  tensors::write_tensors(arguments.out, file);
  std::optional<metrics::SegmentationScores> scores;
  if (truth) scores = scored(maps, classes, *truth);
  if (!arguments.picture.empty()) draw(arguments.picture, looks, maps);
  print(arguments, looks, file.tensors.at("vectors"), scores);
  say(cat("wrote ", arguments.out,
          ": train on it with --set condition.source=file --set condition.file=", arguments.out));
  return 0;
}

}  // namespace

Command masks_command() {
  return {
      "masks", "Which part of each image is what, found without labels or given: maps of classes as conditions.",
      kExamples, [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        declare_looks(app, arguments->look);
        app.add_option("--masks", arguments->masks,
                       "take these masks instead of finding them: a folder of PNG files of class numbers (grey, or "
                       "with a palette) under the images' names, or .safetensors (`masks` uint8 [N, H, W])")
            ->type_name("PATH");
        auto* classes = declare(app, "--classes", arguments->classes,
                                own<int64_t>({.help = "with --masks: how many classes there are; larger numbers are "
                                                      "refused. Default: up to the largest",
                                              .min = 1,
                                              .max = 254}));
        classes->needs("--masks");
        declare(app, "--ignored", arguments->ignored,
                own<int64_t>({.help = "in --masks and --truth: the number of pixels that have no class (255 in VOC)",
                              .min = 0,
                              .max = 255}));
        auto& how = arguments->how;
        declare(app, "--clusters", how.kmeans.clusters,
                own<int64_t>({.help = cat("of patches; default ", how.kmeans.clusters), .min = 2, .max = 254}));
        declare(app, "--fit-patches", how.fit_patches,
                own<int64_t>({.help = cat("k-means is fitted to a sample of about so many patches, the same number "
                                          "of each image; default ",
                                          how.fit_patches),
                              .min = 2,
                              .max = 1 << 30}));
        declare(
            app, "--restarts", how.kmeans.restarts,
            own<int64_t>(
                {.help = cat("independent starts of k-means; default ", how.kmeans.restarts), .min = 1, .max = 10000}));
        declare(app, "--seed", arguments->seed,
                own<int64_t>({.help = "of the sample and of k-means; default 0",
                              .min = declared("seed").doc.min,
                              .max = declared("seed").doc.max}));
        auto& refined = arguments->refined;
        auto* radius =
            declare(app, "--refine", refined.radius,
                    own<int64_t>({.help = "move the borders of found masks to the edges of the images, by a guided "
                                          "filter of windows of this radius; about a patch's side is a good one. "
                                          "Default 0: leave them at the borders of patches",
                                  .unit = "pixels of --size",
                                  .min = 0,
                                  .max = 1024}));
        declare(app, "--refine-epsilon", refined.epsilon,
                own<double>({.help = cat("colours (from 0 to 1) that vary in a window by less than the root of this "
                                         "move no border; default ",
                                         refined.epsilon),
                             .min = 1e-9,
                             .max = 1}))
            ->needs(radius);
        app.add_option("--truth", arguments->truth, "true masks, as --masks, to score these against")
            ->type_name("PATH");
        app.add_option("--picture", arguments->picture, "write the first images with their maps laid over them")
            ->type_name("FILE.png");
        app.add_option("--out", arguments->out, "file to write; condition.source file takes it")
            ->type_name("FILE.safetensors");
        app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
        return [arguments, &app] {
          check_looks(app, arguments->look);
          if (!arguments->masks.empty())
            refuse(app, {"--clusters", "--fit-patches", "--restarts", "--seed", "--refine", "--refine-epsilon"},
                   "says how masks are found, and --masks gives them");
          if (arguments->masks.empty() && arguments->truth.empty())
            refuse(app, {"--ignored"}, "names a number in --masks or --truth");
          return execute(*arguments);
        };
      }};
}

}  // namespace sdg::cli
