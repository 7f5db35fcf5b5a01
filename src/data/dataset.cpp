#include "sdg/data/dataset.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/data/crop.h"

namespace sdg::data {
namespace {

enum class Status : uint8_t { kUnread, kCached, kBroken };

int64_t checked_channels(const DataOptions& options) {
  SDG_CHECK_USAGE(options.channels == 1 || options.channels == 3, "data.channels: expected 1 or 3, got ",
                  options.channels);
  SDG_CHECK_USAGE(options.size > 0, "data.size: expected at least 1 pixel, got ", options.size);
  return options.channels;
}

}  // namespace

struct Dataset::State {
  std::shared_ptr<ImageSource> source;
  int64_t count, channels, side, image_bytes;
  double max_broken;

  std::unique_ptr<std::atomic<Status>[]> status;
  // The first images by index are cached, as many as fit: every image is read once an epoch, so which ones stay makes
  // no difference.
  int64_t capacity;
  Tensor cache;  // uint8 [capacity, C * S * S]; pages are touched as they fill

  std::mutex mutex;  // guards writing to the cache and the account of broken images
  int64_t broken = 0;
  std::string first_broken;

  State(std::shared_ptr<ImageSource> images, const DataOptions& options)
      : source(std::move(images)),
        count(source->size()),
        channels(checked_channels(options)),
        side(options.size),
        image_bytes(channels * side * side),
        max_broken(options.max_broken) {
    SDG_CHECK(count > 0, "data: the data set holds no images");
    status = std::make_unique<std::atomic<Status>[]>(static_cast<size_t>(count));
    capacity = std::min(count, std::max<int64_t>(0, options.cache_mb) * (int64_t{1} << 20) / image_bytes);
    cache = at::empty({capacity, image_bytes}, at::kByte);
  }

  uint8_t* cached(int64_t index) { return cache.mutable_data_ptr<uint8_t>() + index * image_bytes; }

  Tensor decode(int64_t index) {
    Tensor image = source->read(index);
    if (image.size(0) > channels) image = to_channels(image, channels);  // fewer planes to resize
    return to_channels(adm_center_crop(image, side), channels);          // [C, S, S]
  }

  // False if the image is broken.
  bool try_read(int64_t index, uint8_t* out) {
    const Status known = status[index].load(std::memory_order_acquire);
    if (known == Status::kBroken) return false;
    if (known == Status::kCached) {
      std::memcpy(out, cached(index), static_cast<size_t>(image_bytes));
      return true;
    }
    Tensor image;
    try {
      image = decode(index);
    } catch (const std::exception& error) {
      note_broken(index, error.what());
      return false;
    }
    std::memcpy(out, image.const_data_ptr<uint8_t>(), static_cast<size_t>(image_bytes));
    if (index < capacity) {
      const std::lock_guard lock(mutex);
      if (status[index] == Status::kUnread) {
        std::memcpy(cached(index), out, static_cast<size_t>(image_bytes));
        status[index].store(Status::kCached, std::memory_order_release);
      }
    }
    return true;
  }

  void note_broken(int64_t index, const std::string& reason) {
    const std::lock_guard lock(mutex);
    if (status[index] == Status::kBroken) return;
    status[index] = Status::kBroken;
    const std::string name = source->name(index);
    if (++broken == 1) first_broken = name;
    const std::string line = reason.substr(0, reason.find('\n'));
    const bool named = line.find(name) != std::string::npos;
    log::warning(cat("data: broken image skipped (", broken, " of ", count, "): ", named ? "" : name + ": ", line));
  }

  void check_share() {
    const std::lock_guard lock(mutex);
    const double share = static_cast<double>(broken) / static_cast<double>(count);
    SDG_CHECK(share <= max_broken, "data: ", broken, " of ", count, " images are broken, a share of ", share,
              "; data.max_broken allows ", max_broken, "; the first is ", first_broken);
  }
};

Dataset::Dataset(std::shared_ptr<ImageSource> source, const DataOptions& options)
    : state_(std::make_unique<State>(std::move(source), options)) {}
Dataset::~Dataset() = default;

int64_t Dataset::size() const {
  return state_->count;
}
int64_t Dataset::channels() const {
  return state_->channels;
}
int64_t Dataset::image_size() const {
  return state_->side;
}
int64_t Dataset::cache_capacity() const {
  return state_->capacity;
}

int64_t Dataset::broken() const {
  const std::lock_guard lock(state_->mutex);
  return state_->broken;
}

void Dataset::read_into(int64_t index, uint8_t* out) const {
  State& state = *state_;
  SDG_CHECK(index >= 0 && index < state.count, "data: expected an image index in [0, ", state.count, "), got ", index);
  for (int64_t tried = 0; tried < state.count; ++tried) {
    if (state.try_read((index + tried) % state.count, out)) return;
    state.check_share();
  }
  throw Error(cat("data: all ", state.count, " images are broken; the first is ", state.first_broken));
}

Tensor Dataset::image(int64_t index) const {
  Tensor out = at::empty({channels(), image_size(), image_size()}, at::kByte);
  read_into(index, out.mutable_data_ptr<uint8_t>());
  return out;
}

Tensor Dataset::images(at::IntArrayRef indices) const {
  Tensor out = at::empty({static_cast<int64_t>(indices.size()), channels(), image_size(), image_size()}, at::kByte);
  auto* row = out.mutable_data_ptr<uint8_t>();
  for (const int64_t index : indices) {
    read_into(index, row);
    row += state_->image_bytes;
  }
  return out;
}

}  // namespace sdg::data
