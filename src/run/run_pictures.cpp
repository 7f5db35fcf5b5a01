#include "run/run_pictures.h"

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/evaluate/evaluate.h"
#include "sdg/evaluate/pictures.h"
#include "sdg/image/image.h"

namespace sdg::run {
namespace {

// Of the row that is written when all pictures are there.
constexpr const char* kRow = "clusters_with_images";

std::filesystem::path picture_path(const checkpoint::RunFolder& folder, const char* what, int64_t step) {
  return folder.pictures() / cat(what, "-", step, ".png");
}

}  // namespace

bool pictures_missing(const checkpoint::RunFolder& folder, const Supply& supply, bool clusters, int64_t step) {
  namespace fs = std::filesystem;
  if (!supply.pictures) return false;
  if (!fs::exists(picture_path(folder, "samples", step))) return true;
  return clusters &&
         (!fs::exists(picture_path(folder, "clusters", step)) || !io::JsonLines(folder.metrics()).holds(step, kRow));
}

std::string write_pictures(const recipe::RunConfig& config, const checkpoint::RunFolder& folder, const Supply& supply,
                           learn::Learner& learner, const at::Device& device, RunLog& log) {
  if (!supply.pictures) return {};
  const int64_t step = learner.steps_done();
  const auto name = [&](const char* what) { return picture_path(folder, what, step); };
  const bool latents = static_cast<bool>(supply.to_images);  // decoding takes its time: fewer of them
  const auto sheet =
      evaluate::sample_sheet(config, learner.teacher(), learner.prior(), device, latents ? 16 : 64, supply.to_images);
  image::write_png(name("samples"), sheet);
  log.picture("samples", sheet, step);
  std::string message = cat("wrote ", name("samples").string());
  if (learner.teacher().head) {
    const auto report = evaluate::evaluate_clusters(config, learner.teacher(), *supply.dataset,
                                                    {supply.opened.labels.get(), supply.opened.masks.get()}, device);
    constexpr int64_t kMapsShown = 32;
    const auto clusters = network::patch_level(config)
                              ? evaluate::overlay_sheet(report.assignments.slice(0, 0, latents ? 8 : kMapsShown),
                                                        report.indices, *supply.dataset, supply.to_images)
                              : evaluate::cluster_sheet(report, *supply.dataset, config.cluster.clusters,
                                                        latents ? 8 : 24, latents ? 8 : 16, supply.to_images);
    image::write_png(name("clusters"), clusters);
    log.picture("clusters", clusters, step);
    io::Row row{{kRow, static_cast<double>(report.used)}};
    message += cat("; ", report.used, " of ", config.cluster.clusters, " clusters hold images");
    if (report.scored) {
      row.insert(row.end(), {{"nmi", report.scores.nmi},
                             {"ami", report.scores.ami},
                             {"ari", report.scores.ari},
                             {"accuracy", report.scores.accuracy}});
      message += cat(", NMI ", std::round(report.scores.nmi * 1000) / 1000);
    }
    if (report.segmentation) {
      row.emplace_back("miou", report.segmentation->miou);
      row.emplace_back("miou_majority", report.segmentation->miou_majority);
      message += cat(", mIoU ", std::round(report.segmentation->miou * 1000) / 1000);
    }
    if (!log.holds(step, kRow)) log.write(step, row, "clusters/");
  }
  return message;
}

}  // namespace sdg::run
