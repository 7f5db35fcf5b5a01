#include "data/sources.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/io/random_access_file.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::data {
namespace {

constexpr int64_t kMostClasses = 1 << 20;  // beyond that the labels are something else, e.g. identifiers

class TensorSource : public ImageSource {
 public:
  TensorSource(const std::filesystem::path& path, Tensor images)
      : where_(path.string()), file_(path), images_(std::move(images)) {}
  int64_t size() const override { return images_.size(0); }
  Tensor read(int64_t index) const override {
    file_.check_not_shortened();
    return images_[index];
  }
  uint64_t stored_size(int64_t index) const override { return images_[index].nbytes(); }
  std::string name(int64_t index) const override { return cat(where_, "[", index, "]"); }

 private:
  std::string where_;
  io::RandomAccessFile file_;
  Tensor images_;  // uint8 [N, C, H, W], a view of the mapped file
};

class TensorMasks : public MaskSource {
 public:
  explicit TensorMasks(Tensor masks) : masks_(std::move(masks)) {}
  Tensor mask(int64_t index) const override { return masks_[index]; }

 private:
  Tensor masks_;  // uint8 [N, H, W]
};

Tensor checked_images(const Tensor& images, const std::string& where) {
  const bool planes = images.dim() == 3 || (images.dim() == 4 && (images.size(1) == 1 || images.size(1) == 3));
  SDG_CHECK(planes && images.scalar_type() == at::kByte && images.numel() > 0, where,
            ": expected `images` to be non-empty uint8 [N, H, W] or [N, 1 or 3, H, W], got ", images.scalar_type(), " ",
            to_string(images.sizes()));
  return images.dim() == 3 ? images.unsqueeze(1) : images;  // [N, C, H, W]
}

}  // namespace

std::shared_ptr<LabelSource> number_labels(const Tensor& stored, int64_t count, const std::string& where) {
  SDG_CHECK(
      at::isIntegralType(stored.scalar_type(), /*includeBool=*/false) && stored.dim() == 1 && stored.size(0) == count,
      where, ": expected `labels` to be integers [", count, "], one an image, got ", stored.scalar_type(), " ",
      to_string(stored.sizes()));
  Tensor labels = stored.to(at::kLong, /*non_blocking=*/false, /*copy=*/true);
  const int64_t least = labels.min().item<int64_t>(), most = labels.max().item<int64_t>();
  SDG_CHECK(least >= 0 && most < kMostClasses, where, ": expected `labels` in [0, ", kMostClasses, "), got ", least,
            " to ", most);
  std::vector<std::string> names;
  for (int64_t i = 0; i <= most; ++i) names.push_back(std::to_string(i));
  return make_labels(std::move(labels), std::move(names));
}

OpenedData open_tensors(const std::filesystem::path& path) {
  const std::string where = path.string();
  const tensors::TensorFile file = tensors::read_tensors(path);
  const Tensor images = checked_images(file.at("images", where), where);
  OpenedData data;
  data.images = std::make_shared<TensorSource>(path, images);
  const auto labels = file.tensors.find("labels");
  if (labels != file.tensors.end()) data.labels = number_labels(labels->second, images.size(0), where);
  if (const auto masks = file.tensors.find("masks"); masks != file.tensors.end()) {
    const Shape wanted{images.size(0), images.size(2), images.size(3)};
    SDG_CHECK(masks->second.scalar_type() == at::kByte && masks->second.sizes() == wanted, where,
              ": expected `masks` to be uint8 ", to_string(wanted), ", a class for each pixel, got ",
              masks->second.scalar_type(), " ", to_string(masks->second.sizes()));
    data.masks = std::make_shared<TensorMasks>(masks->second);
  }
  data.description = describe("tensors " + where, data);
  return data;
}

}  // namespace sdg::data
