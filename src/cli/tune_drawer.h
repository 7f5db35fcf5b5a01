#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "cli/reference.h"
#include "cli/tune_axes.h"
#include "sdg/generate/generate.h"
#include "sdg/latents/latent_images.h"

namespace sdg::cli {

/// Draws for `tune`: features of images by their settings. What was drawn stays in a folder, with the seconds it took,
/// so that a search that was stopped goes on where it was: the same settings are not drawn again, and count as before.
class TuneDrawer {
 public:
  /// `trained` must outlive this.
  TuneDrawer(const checkpoint::Trained& trained, const ReferenceArguments& reference, const std::string& autoencoder,
             std::filesystem::path folder, const at::Device& device);

  const evaluate::Side& reference() const { return reference_; }
  const vision::FeatureExtractor& extractor() const { return *extractor_; }
  const std::string& metric() const { return metric_; }

  /// Features [count, F]; throws Stopped where a signal came. `evenly`: images are told conditions in even turns
  /// (generate::even_rows), where each has one by the prior; else they are drawn, as sdg sample draws them.
  Tensor rows(const TunedDrawing& drawing, int64_t first, int64_t count, bool evenly);
  double seconds() const { return seconds_; }
  /// Of the images, "8x8".
  const std::string& size() const { return size_; }
  /// Images that an earlier search had drawn.
  int64_t found() const { return found_; }

  /// The weights of a drawing, as a file in `folder` that stays; "" for the run's own.
  std::string average_file(const TunedDrawing& drawing) const;
  std::string guide_file(const TunedDrawing& drawing) const;
  /// Removes what only a search needs, and all weights but those of `drawing`.
  void clear(const TunedDrawing& drawing) const;

 private:
  const checkpoint::Trained& network(const TunedDrawing& drawing);
  std::shared_ptr<const checkpoint::Trained> guide(const TunedDrawing& drawing);
  std::shared_ptr<const checkpoint::Trained> made(const std::string& name, double width, int64_t step);
  std::filesystem::path work() const { return folder_ / "work"; }

  const checkpoint::Trained& trained_;
  std::filesystem::path folder_;
  at::Device device_;
  std::unique_ptr<vision::FeatureExtractor> extractor_;
  latents::ToImages to_images_;
  std::string decoder_, metric_, size_;
  evaluate::Side reference_;
  std::map<std::string, std::shared_ptr<const checkpoint::Trained>> made_;
  std::map<const checkpoint::Trained*, std::string> contents_;
  double seconds_ = 0;
  int64_t found_ = 0;
};

}  // namespace sdg::cli
