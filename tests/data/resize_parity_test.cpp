#include <gtest/gtest.h>

#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/data/crop.h"
#include "support/fixture.h"

using namespace sdg;
using nlohmann::json;

namespace {

// Stored images are [H, W] or [H, W, C].
Tensor to_planes(const Tensor& stored) {
  return stored.dim() == 2 ? stored.unsqueeze(0).contiguous() : stored.permute({2, 0, 1}).contiguous();
}
Tensor to_stored(const Tensor& image, bool grey) {
  return grey ? image[0] : image.permute({1, 2, 0}).contiguous();
}

image::Filter filter_of(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), ::tolower);
  return config::from_name<image::Filter>(name).value();
}

void compare_resize(test::Fixture& fixture, const std::string& output, const json& run) {
  const auto stored = fixture.in(run.at("img").get<std::string>());
  image::ResizeOptions options{.filter = filter_of(run.at("filter").get<std::string>())};
  if (run.contains("box") && !run.at("box").is_null()) {
    const auto box = run.at("box").get<std::vector<double>>();
    options.box = image::Box{box.at(0), box.at(1), box.at(2), box.at(3)};
  }
  if (run.contains("gap") && !run.at("gap").is_null()) options.reducing_gap = run.at("gap").get<double>();
  const auto wh = run.at("wh").get<std::vector<int64_t>>();
  const auto image = image::resize(to_planes(stored), wh.at(1), wh.at(0), options);
  fixture.compare(output, to_stored(image, stored.dim() == 2));
}

// torchvision's Resize, CenterCrop, ToTensor and ImageNet's Normalize, from the parts of data/crop.h.
void compare_transform(test::Fixture& fixture, const std::string& output, const json& run) {
  const auto image = to_planes(fixture.in(run.at("img").get<std::string>()));
  const auto filter = filter_of(run.at("interp").get<std::string>());
  const auto cropped = data::center_crop(data::resize_short_side(image, run.at("resize").get<int64_t>(), filter),
                                         run.at("crop").get<int64_t>());
  fixture.compare(output + ".u8", to_stored(cropped, false));
  const auto mean = at::tensor({0.485F, 0.456F, 0.406F}).view({3, 1, 1});
  const auto deviation = at::tensor({0.229F, 0.224F, 0.225F}).view({3, 1, 1});
  fixture.compare(output + ".norm", (cropped.to(at::kFloat) / 255 - mean) / deviation);
}

}  // namespace

TEST(ResizeParity, PillowAndTorchvision) {
  test::for_each_fixture("pil_resize", [](test::Fixture& fixture) {
    for (const auto& [output, run] : fixture.config.at("cases").items()) compare_resize(fixture, output, run);
    if (fixture.config.contains("tv")) {
      for (const auto& [output, run] : fixture.config.at("tv").items()) compare_transform(fixture, output, run);
    }
    fixture.expect_all_compared();
  });
}

TEST(CropParity, AdmCenterCrop) {
  test::for_each_fixture("center_crop", [](test::Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("cases").items()) {
      Tensor image = to_planes(fixture.in(name + ".pixels"));
      if (image.size(0) == 4) image = image.slice(0, 0, 3).contiguous();  // alpha is dropped
      image = data::to_channels(image, 3);
      if (fixture.has("out." + name + ".rgb")) fixture.compare(name + ".rgb", to_stored(image, false));
      fixture.compare(name + ".crop", to_stored(data::adm_center_crop(image, run.at("size").get<int64_t>()), false));
    }
    fixture.expect_all_compared();
  });
}
