#include "run/alignment_target.h"

#include "sdg/core/error.h"
#include "sdg/image/image.h"
#include "sdg/vision/feature_extractor.h"

namespace sdg::run {

std::shared_ptr<const learn::AlignmentTarget> alignment_target(const recipe::RunConfig& config,
                                                               const data::OpenedData& opened,
                                                               const at::Device& device) {
  if (!config.align.with_another()) return nullptr;
  SDG_CHECK_USAGE(opened.images, "align.extractor: ", opened.path, " holds latents, and ", config.align.extractor,
                  " looks at images; train on images, or with align.extractor none");
  SDG_CHECK_USAGE(config.data.channels == 1 || config.data.channels == 3, "align.extractor: images of ",
                  config.data.channels, " channels cannot be shown to ", config.align.extractor);
  const std::shared_ptr<vision::FeatureExtractor> extractor =
      vision::make_extractor(config.align.extractor, config.align.weights, device, config.config_dir);
  auto target = std::make_shared<learn::AlignmentTarget>();
  target->name = extractor->name();
  target->places = extractor->place_width() > 0;
  target->width = target->places ? extractor->place_width() : extractor->dim();
  target->features = [extractor, places = target->places](const Tensor& x, int64_t side) {
    const auto images = image::to_uint8(x);
    return places ? extractor->places(images, side) : extractor->features(images).unsqueeze(1);
  };
  return target;
}

}  // namespace sdg::run
