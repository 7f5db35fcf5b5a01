#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/shape.h"
#include "sdg/data/crop.h"
#include "sdg/data/samples.h"

namespace sdg::data {
namespace {

enum class Status : uint8_t { kUnread, kGood, kCached, kBroken };  // kGood: read, not kept

int64_t checked_channels(const DataOptions& options) {
  SDG_CHECK_USAGE(options.channels == 1 || options.channels == 3, "data.channels: expected 1 or 3 of images, got ",
                  options.channels, " (latents are made with sdg encode)");
  SDG_CHECK_USAGE(options.size > 0, "data.size: expected at least 1 pixel, got ", options.size);
  return options.channels;
}

void mirror(uint8_t* image, int64_t rows, int64_t width) {
  for (int64_t y = 0; y < rows; ++y) std::reverse(image + y * width, image + (y + 1) * width);
}

class ImageSamples : public SampleSource {
 public:
  ImageSamples(std::shared_ptr<ImageSource> images, const DataOptions& options)
      : source_(std::move(images)),
        count_(source_->size()),
        channels_(checked_channels(options)),
        side_(options.size),
        image_bytes_(channels_ * side_ * side_),
        max_broken_(options.max_broken) {
    SDG_CHECK(count_ > 0, "data: the data set holds no images");
    status_ = std::make_unique<std::atomic<Status>[]>(static_cast<size_t>(count_));
    capacity_ = std::min(count_, std::max<int64_t>(0, options.cache_mb) * (int64_t{1} << 20) / image_bytes_);
    cache_ = at::empty({capacity_, image_bytes_}, at::kByte);
  }

  int64_t size() const override { return count_; }
  int64_t channels() const override { return channels_; }
  int64_t side() const override { return side_; }
  bool has_pixels() const override { return true; }
  int64_t cache_capacity() const override { return capacity_; }
  int64_t broken() const override {
    const std::lock_guard lock(mutex_);
    return broken_;
  }

  std::vector<int64_t> read_rows(at::IntArrayRef indices, const Tensor& out, const Draws& draws) const override {
    check_shape(out, {static_cast<int64_t>(indices.size()), channels_, side_, side_}, "data: rows to fill");
    const auto* mirrored = draws.mirrored.defined() ? draws.mirrored.const_data_ptr<bool>() : nullptr;
    std::vector<int64_t> taken;
    std::vector<uint8_t> image(static_cast<size_t>(image_bytes_));
    auto* row = out.mutable_data_ptr<float>();
    for (size_t i = 0; i < indices.size(); ++i, row += image_bytes_) {
      taken.push_back(read_pixels(indices[i], image.data()));
      if (mirrored && mirrored[i]) mirror(image.data(), channels_ * side_, side_);
      for (size_t v = 0; v < image.size(); ++v) row[v] = static_cast<float>(image[v]) / 127.5F - 1.0F;
    }
    return taken;
  }

  // Without an allocation where it is cached.
  int64_t read_pixels(int64_t index, uint8_t* out) const override {
    return first_good(index, [&](int64_t candidate) { return try_read(candidate, out); });
  }

  int64_t shown(int64_t index) const override {
    std::vector<uint8_t> scratch;
    return first_good(index, [&](int64_t candidate) {
      const Status known = status_[static_cast<size_t>(candidate)].load(std::memory_order_acquire);
      if (known == Status::kGood || known == Status::kCached) return true;
      scratch.resize(static_cast<size_t>(image_bytes_));
      return known == Status::kUnread && try_read(candidate, scratch.data());
    });
  }

 private:
  uint8_t* cached(int64_t index) const { return cache_.mutable_data_ptr<uint8_t>() + index * image_bytes_; }

  Tensor decode(int64_t index) const {
    Tensor image = source_->read(index);
    if (image.size(0) > channels_) image = to_channels(image, channels_);  // fewer planes to resize
    return to_channels(adm_center_crop(image, side_), channels_);          // [C, S, S]
  }

  // False if the image is broken.
  bool try_read(int64_t index, uint8_t* out) const {
    const Status known = status_[index].load(std::memory_order_acquire);
    if (known == Status::kBroken) return false;
    if (known == Status::kCached) {
      std::memcpy(out, cached(index), static_cast<size_t>(image_bytes_));
      return true;
    }
    Tensor image;
    try {
      image = decode(index);
    } catch (const std::exception& error) {
      note_broken(index, error.what());
      return false;
    }
    std::memcpy(out, image.const_data_ptr<uint8_t>(), static_cast<size_t>(image_bytes_));
    if (known == Status::kUnread) note_good(index, out);
    return true;
  }

  void note_good(int64_t index, const uint8_t* pixels) const {
    const std::lock_guard lock(mutex_);
    if (status_[index] != Status::kUnread) return;
    if (index < capacity_) std::memcpy(cached(index), pixels, static_cast<size_t>(image_bytes_));
    status_[index].store(index < capacity_ ? Status::kCached : Status::kGood, std::memory_order_release);
  }

  // The first of index, index + 1, ... (cyclic) that `usable` accepts.
  template <class Usable>
  int64_t first_good(int64_t index, const Usable& usable) const {
    SDG_CHECK(index >= 0 && index < count_, "data: expected an image index in [0, ", count_, "), got ", index);
    for (int64_t tried = 0; tried < count_; ++tried) {
      const int64_t candidate = (index + tried) % count_;
      if (usable(candidate)) return candidate;
      check_share();
    }
    throw Error(cat("data: all ", count_, " images are broken; the first is ", first_broken_));
  }

  void note_broken(int64_t index, const std::string& reason) const {
    const std::lock_guard lock(mutex_);
    if (status_[index] == Status::kBroken) return;
    status_[index] = Status::kBroken;
    const std::string name = source_->name(index);
    if (++broken_ == 1) first_broken_ = name;
    const std::string line = reason.substr(0, reason.find('\n'));
    const bool named = line.find(name) != std::string::npos;
    log::warning(cat("data: broken image skipped (", broken_, " of ", count_, "): ", named ? "" : name + ": ", line));
  }

  void check_share() const {
    const std::lock_guard lock(mutex_);
    const double share = static_cast<double>(broken_) / static_cast<double>(count_);
    SDG_CHECK(share <= max_broken_, "data: ", broken_, " of ", count_, " images are broken, a share of ", share,
              "; data.max_broken allows ", max_broken_, "; the first is ", first_broken_);
  }

  std::shared_ptr<ImageSource> source_;
  int64_t count_, channels_, side_, image_bytes_;
  double max_broken_;

  std::unique_ptr<std::atomic<Status>[]> status_;
  // The first images by index are cached, as many as fit: every image is read once an epoch, so which ones stay makes
  // no difference.
  int64_t capacity_ = 0;
  Tensor cache_;  // uint8 [capacity, C * S * S]; pages are touched as they fill

  mutable std::mutex mutex_;  // guards writing to the cache and the account of broken images
  mutable int64_t broken_ = 0;
  mutable std::string first_broken_;
};

}  // namespace

std::shared_ptr<SampleSource> make_samples(std::shared_ptr<ImageSource> images, const DataOptions& options) {
  return std::make_shared<ImageSamples>(std::move(images), options);
}

std::shared_ptr<SampleSource> make_samples(const OpenedData& opened, const DataOptions& options) {
  return opened.latents ? make_samples(opened.latents, options) : make_samples(opened.images, options);
}

}  // namespace sdg::data
