#include "cli/tune_drawer.h"

#include <chrono>

#include "cli/process.h"
#include "cli/sample_output.h"
#include "cli/terminal.h"
#include "sdg/checkpoint/average_snapshots.h"
#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "sdg/evaluate/image_feeds.h"
#include "sdg/generate/content.h"
#include "sdg/generate/even_rows.h"
#include "sdg/generate/guide_network.h"

namespace sdg::cli {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kEvenTurns = 1 << 16;  // then they begin again

std::string average_name(const TunedDrawing& drawing) {
  return drawing.width > 0 ? cat("average-", drawing.width, ".safetensors") : std::string();
}

std::string guide_name(const TunedDrawing& drawing) {
  return drawing.guide_step > 0 ? cat("guide-step-", drawing.guide_step, ".safetensors") : std::string();
}

}  // namespace

TuneDrawer::TuneDrawer(const checkpoint::Trained& trained, const ReferenceArguments& reference,
                       const std::string& autoencoder, fs::path folder, const at::Device& device)
    : trained_(trained), folder_(std::move(folder)), device_(device) {
  const auto& info = trained.info;
  extractor_ = extractor_of(reference, &info.config.eval, device);
  metric_ = extractor_->metric_name();
  to_images_ = latents::to_images_of(info, autoencoder, device, &decoder_);
  reference_ = reference_side(reference, &info, *extractor_, {evaluate::Metric::kFrechet}, evaluate::Wanted().keep);
  fs::create_directories(work());
}

std::shared_ptr<const checkpoint::Trained> TuneDrawer::made(const std::string& name, double width, int64_t step) {
  auto& out = made_[name];
  if (out) return out;
  const auto path = folder_ / name;
  tensors::write_tensors(path, checkpoint::make_average(trained_.path, width, step).file);
  return out = std::make_shared<checkpoint::Trained>(checkpoint::load_trained(path, device_));
}

const checkpoint::Trained& TuneDrawer::network(const TunedDrawing& drawing) {
  return drawing.width > 0 ? *made(average_name(drawing), drawing.width, 0) : trained_;
}

std::shared_ptr<const checkpoint::Trained> TuneDrawer::guide(const TunedDrawing& drawing) {
  if (drawing.guide_step == 0) return nullptr;
  return made(guide_name(drawing), trained_.info.config.average.narrow, drawing.guide_step);
}

Tensor TuneDrawer::rows(const TunedDrawing& drawing, int64_t first, int64_t count, bool evenly) {
  const auto& drawn_from = network(drawing);
  generate::Request request{.sample = drawing.sample, .first = first, .to_images = to_images_};
  request.sample.count = count;
  if (evenly && drawn_from.prior.defined() && drawn_from.prior.dim() == 1)
    request.rows = generate::even_rows(drawn_from.prior, drawing.sample, kEvenTurns);
  request.guide = guide(drawing);
  if (request.guide) generate::check_guide(drawn_from, *request.guide);
  auto& content = contents_[&drawn_from];
  if (content.empty()) content = generate::content_digest(drawn_from);
  io::Digest digest;
  digest.text(content).text(device_.is_cpu() ? "cpu" : "gpu").text(extractor_->name());
  digest.text(extractor_->weights_digest());
  generate::add_content(digest, request, decoder_);
  const auto path = work() / (digest.hex() + ".safetensors");
  if (fs::exists(path)) {
    const auto file = tensors::read_tensors(path);
    seconds_ += std::stod(file.metadata.at("seconds"));
    found_ += count;
    size_ = file.metadata.at("size");
    return file.at("rows", path.string());
  }
  const auto begin = std::chrono::steady_clock::now();
  evaluate::Wanted wanted;
  wanted.rows = true;
  wanted.keep = count;
  const auto side =
      evaluate::gather(evaluate::sample_feed(drawn_from, request, device_,
                                             [](int64_t, int64_t) {
                                               if (caught_signal())
                                                 throw Stopped();  // NOLINT(bugprone-std-exception-baseclass)
                                             }),
                       *extractor_, wanted);
  check_sizes(side.pooled, trained_.path, false, {reference_.pooled, reference_.text, reference_.stored});
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  seconds_ += passed.count();
  size_ = side.pooled.size;
  tensors::TensorFile file;
  file.tensors["rows"] = side.rows.to(at::kCPU, at::kFloat).contiguous();
  file.metadata = {{"format", "sdg-features-2"}, {"seconds", config::to_text(passed.count())}, {"size", size_}};
  tensors::write_tensors(path, file);
  return file.tensors["rows"];
}

std::string TuneDrawer::average_file(const TunedDrawing& drawing) const {
  return drawing.width > 0 ? (folder_ / average_name(drawing)).string() : "";
}

std::string TuneDrawer::guide_file(const TunedDrawing& drawing) const {
  return drawing.guide_step > 0 ? (folder_ / guide_name(drawing)).string() : "";
}

void TuneDrawer::clear(const TunedDrawing& drawing) const {
  std::error_code ignored;  // what cannot be removed costs space
  fs::remove_all(work(), ignored);
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const auto name = entry.path().filename().string();
    const bool weights =
        name.ends_with(".safetensors") && (name.starts_with("average-") || name.starts_with("guide-step-"));
    if (weights && name != average_name(drawing) && name != guide_name(drawing)) left.push_back(entry.path());
  }
  for (const auto& path : left) fs::remove(path, ignored);
}

}  // namespace sdg::cli
