#include <algorithm>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/looks.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/core/rng.h"
#include "sdg/evaluate/pictures.h"
#include "sdg/image/image.h"
#include "sdg/regions/box_file.h"
#include "sdg/regions/lost.h"
#include "sdg/regions/overlay.h"
#include "sdg/study/cluster_study.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::cli {
namespace {

using regions::Box;

struct Arguments {
  LookArguments look;
  std::string boxes, truth, picture, out = "boxes.safetensors";
  regions::LostOptions lost;
  regions::Missing missing = regions::Missing::kRefuse;
  int64_t clusters = 0, restarts = cluster::KmeansOptions().restarts, seed = 0;
  bool json = false;
};

constexpr int64_t kAtOnce = 64, kShown = 32, kColumns = 8;

constexpr const char* kExamples =
    "  sdg boxes --extractor dino-vits16 --data photos/ --size 64 --clusters 100     found without labels\n"
    "  sdg boxes --run runs/none --clusters 10                                       by a network's own patches\n"
    "  sdg boxes --boxes boxes.json --data photos/ --size 64                         given\n"
    "  sdg train --config self-guided/voc64-box --set condition.file=boxes.safetensors\n";

// One object an image, in squares of looks.size().
std::vector<Box> found(const Looks& looks, const regions::LostOptions& options) {
  std::vector<Box> out(static_cast<size_t>(looks.images()));
  const auto side = looks.side();
  const double scale = static_cast<double>(looks.size()) / static_cast<double>(side);
  ProgressBar bar("boxes", "img/s");
  for (int64_t first = 0; first < looks.images(); first += kAtOnce) {
    const auto indices = rng::consecutive(first, std::min(kAtOnce, looks.images() - first));
    const auto keys = looks.keys(indices);
    worker_pool().run(keys.size(0), [&](int64_t i) {
      const auto box = regions::find_object(keys[i], side, side, options).box;
      out[static_cast<size_t>(first + i)] = {box.left * scale, box.top * scale, box.right * scale, box.bottom * scale};
    });
    bar.update(first + keys.size(0), looks.images());
  }
  return out;
}

std::vector<Box> given(const std::string& path, const Looks& looks) {
  const auto& images = *looks.opened().images;
  return regions::in_center_crops(regions::read_boxes(path, images), images, looks.size());
}

conditions::PseudoLabels clustered(const Arguments& arguments, const Looks& looks, const std::vector<Box>& boxes) {
  std::vector<Tensor> features;
  ProgressBar bar("features of boxes", "img/s");
  for (int64_t first = 0; first < looks.images(); first += kAtOnce) {
    const auto indices = rng::consecutive(first, std::min(kAtOnce, looks.images() - first));
    features.push_back(looks.box_features(indices, {boxes.begin() + first, boxes.begin() + indices.back() + 1}));
    bar.update(indices.back() + 1, looks.images());
  }
  bar.finish();
  auto how = looks.clustering();
  how.kmeans.clusters = arguments.clusters;
  how.kmeans.restarts = arguments.restarts;
  how.kmeans.seed = static_cast<uint64_t>(arguments.seed);
  return conditions::cluster_features(at::cat(features), how);
}

Tensor maps_of(const std::vector<Box>& boxes, int64_t size) {
  auto out = at::empty({static_cast<int64_t>(boxes.size()), 1, size, size}, at::kByte);
  for (size_t i = 0; i < boxes.size(); ++i) out[static_cast<int64_t>(i)][0].copy_(regions::box_map(boxes[i], size));
  return out;
}

struct Agreement {
  int64_t images = 0;  // with a true box
  double recall = 0;   // share of them whose box overlaps it by more than half
  double overlap = 0;  // mean
};

// Before the work: a wrong file must not cost it.
std::vector<Box> truth_of(const Arguments& arguments, const Looks& looks) {
  if (arguments.truth.empty()) return {};
  auto out = given(arguments.truth, looks);
  SDG_CHECK(std::any_of(out.begin(), out.end(), [](const Box& box) { return !box.empty(); }), arguments.truth,
            ": no image has a true box in the square that the network sees");
  return out;
}

Agreement against(const std::vector<Box>& boxes, const std::vector<Box>& truth) {
  Agreement out;
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (truth[i].empty()) continue;
    const double overlap = regions::overlap(boxes[i], truth[i]);
    ++out.images;
    out.overlap += overlap;
    out.recall += overlap > 0.5 ? 1 : 0;
  }
  out.overlap /= static_cast<double>(out.images);
  out.recall /= static_cast<double>(out.images);
  return out;
}

void draw(const std::string& path, const Looks& looks, const std::vector<Box>& boxes) {
  std::vector<Tensor> pictures;
  const auto scale = evaluate::picture_scale(looks.size());
  for (int64_t i = 0; i < std::min(kShown, looks.images()); ++i)
    pictures.push_back(regions::with_box(looks.picture(i), boxes[static_cast<size_t>(i)], scale));
  image::write_png(path, image::image_grid(at::stack(pictures), kColumns));
}

void print(const Arguments& arguments, const Looks& looks, const conditions::PseudoLabels& labels, double area,
           const std::optional<Agreement>& truth) {
  nlohmann::ordered_json row{
      {"out", arguments.out}, {"images", looks.images()}, {"size", looks.size()}, {"area", area}};
  int64_t used = 0;
  if (labels.ids.defined()) {
    used = labels.clusters - static_cast<int64_t>(study::cluster_sizes(labels.ids, labels.clusters).dead.size());
    row.update({{"clusters", labels.clusters}, {"used", used}, {"inertia", labels.inertia}});
  }
  if (truth) row.update({{"true_boxes", truth->images}, {"recall", truth->recall}, {"overlap", truth->overlap}});
  if (arguments.json) {
    std::printf("%s\n", io::json_text(row).c_str());
    return;
  }
  std::printf("%lld images, boxes take %.3f of the square on average\n", static_cast<long long>(looks.images()), area);
  if (labels.ids.defined())
    std::printf("%lld of %lld clusters hold boxes\n", static_cast<long long>(used),
                static_cast<long long>(labels.clusters));
  if (truth)
    std::printf("against %lld true boxes: recall (overlap above one half) %.4f, mean overlap %.4f\n",
                static_cast<long long>(truth->images), truth->recall, truth->overlap);
}

int execute(const Arguments& arguments) {
  const Looks looks(arguments.look);
  const auto size = looks.size();
  SDG_CHECK_USAGE(arguments.clusters <= looks.images(), "--clusters: expected at most as many as there are images, ",
                  looks.images(), ", got ", arguments.clusters);
  const auto truth = truth_of(arguments, looks);
  auto boxes = arguments.boxes.empty() ? found(looks, arguments.lost) : given(arguments.boxes, looks);
  regions::settle_missing(boxes, arguments.missing, size, *looks.opened().images, arguments.boxes);
  conditions::PseudoLabels labels;
  if (arguments.clusters > 0) labels = clustered(arguments, looks, boxes);
  auto origin = looks.origin();
  if (!arguments.boxes.empty()) {  // whatever sees them: nobody here knows who drew them
    origin.tapped =
        cat("boxes of ", arguments.boxes, origin.made_from.empty() ? "" : " as seen by " + origin.made_from);
    origin.made_from = arguments.boxes;
    origin.label_free = to_text(checkpoint::Verdict::kUnknown);
    origin.provenance = {};
  }
  auto file = conditions::pseudo_label_file(labels, origin);
  if (!labels.ids.defined()) file.tensors.erase("ids");
  file.tensors["boxes"] = regions::to_tensor(boxes);
  file.tensors["maps"] = maps_of(boxes, size);
  tensors::write_tensors(arguments.out, file);
  std::optional<Agreement> agreement;
  if (!truth.empty()) agreement = against(boxes, truth);
  if (!arguments.picture.empty()) draw(arguments.picture, looks, boxes);
  print(arguments, looks, labels, file.tensors.at("maps").to(at::kFloat).mean().item<double>(), agreement);
  say(cat("wrote ", arguments.out,
          ": train on it with --set condition.source=file --set condition.file=", arguments.out));
  return 0;
}

}  // namespace

Command boxes_command() {
  return {
      "boxes", "Where the object of each image is, found without labels (LOST) or given: boxes as conditions.",
      kExamples, [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        declare_looks(app, arguments->look);
        app.add_option("--boxes", arguments->boxes,
                       "take these boxes instead of finding them: .safetensors (`boxes` [N, 4]: left, top, right, "
                       "bottom in pixels of each image) or .json (a list, or an object by the images' names)")
            ->type_name("FILE");
        declare(app, "--candidates", arguments->lost.candidates,
                own<int64_t>({.help = "patches of lowest degree by which the seed of an object may grow; default "
                                      "100, as in the paper, of which there were 14 x 14 and more patches",
                              .min = 1,
                              .max = 1 << 20}));
        declare(app, "--missing", arguments->missing,
                own<regions::Missing>({.help = "with --boxes: what an image without a box is told: refuse stops, "
                                               "empty is a map of 0, whole one of 1"}))
            ->needs("--boxes");
        declare(app, "--clusters", arguments->clusters,
                own<int64_t>({.help = "cluster the boxes' contents too, and tell the cluster beside the box; default: "
                                      "only the box is told",
                              .min = 2,
                              .max = 1 << 20}));
        declare(
            app, "--restarts", arguments->restarts,
            own<int64_t>(
                {.help = cat("independent starts of k-means; default ", arguments->restarts), .min = 1, .max = 10000}))
            ->needs("--clusters");
        declare(
            app, "--seed", arguments->seed,
            own<int64_t>(
                {.help = "of k-means; default 0", .min = declared("seed").doc.min, .max = declared("seed").doc.max}))
            ->needs("--clusters");
        app.add_option("--truth", arguments->truth, "true boxes, as --boxes, to score these against")
            ->type_name("FILE");
        app.add_option("--picture", arguments->picture, "write the first images with their boxes")
            ->type_name("FILE.png");
        app.add_option("--out", arguments->out, "file to write; condition.source file takes it")
            ->type_name("FILE.safetensors");
        app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
        return [arguments, &app] {
          check_looks(app, arguments->look);
          if (!arguments->boxes.empty())
            refuse(app, {"--candidates"}, "says how boxes are found, and --boxes gives them");
          return execute(*arguments);
        };
      }};
}

}  // namespace sdg::cli
