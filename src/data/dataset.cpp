#include "sdg/data/dataset.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/parallel.h"
#include "sdg/data/crop.h"

namespace sdg::data {
namespace {

enum class Status : uint8_t { kUnread, kGood, kCached, kBroken };  // kGood: read, not kept

int64_t checked_channels(const DataOptions& options) {
  SDG_CHECK_USAGE(options.channels == 1 || options.channels == 3, "data.channels: expected 1 or 3 of images, got ",
                  options.channels, " (latents are made with sdg encode)");
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
    if (known == Status::kUnread) note_good(index, out);
    return true;
  }

  void note_good(int64_t index, const uint8_t* pixels) {
    const std::lock_guard lock(mutex);
    if (status[index] != Status::kUnread) return;
    if (index < capacity) std::memcpy(cached(index), pixels, static_cast<size_t>(image_bytes));
    status[index].store(index < capacity ? Status::kCached : Status::kGood, std::memory_order_release);
  }

  // The first of index, index + 1, ... (cyclic) that `usable` accepts.
  template <class Usable>
  int64_t first_good(int64_t index, const Usable& usable) {
    SDG_CHECK(index >= 0 && index < count, "data: expected an image index in [0, ", count, "), got ", index);
    for (int64_t tried = 0; tried < count; ++tried) {
      const int64_t candidate = (index + tried) % count;
      if (usable(candidate)) return candidate;
      check_share();
    }
    throw Error(cat("data: all ", count, " images are broken; the first is ", first_broken));
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

namespace {

void check_latents(const LatentSource& latents, const DataOptions& options) {
  const LatentCard& card = latents.card();
  SDG_CHECK_USAGE(options.size == card.size && options.channels == card.channels, "data: these latents are ",
                  card.channels, "x", card.size, "x", card.size, ", the model is to see ", options.channels, "x",
                  options.size, "x", options.size, ": set data.size=", card.size, " and data.channels=", card.channels);
  SDG_CHECK_USAGE(!options.flip || latents.has_flips(),
                  "data.flip: these latents hold no mirrored images, and a mirrored latent is not the latent of the "
                  "mirrored image: encode with --flip or set data.flip=false");
}

}  // namespace

Dataset::Dataset(std::shared_ptr<ImageSource> source, const DataOptions& options)
    : state_(std::make_unique<State>(std::move(source), options)) {}

Dataset::Dataset(std::shared_ptr<LatentSource> latents, const DataOptions& options) : latents_(std::move(latents)) {
  check_latents(*latents_, options);
}

Dataset::Dataset(const OpenedData& opened, const DataOptions& options) : latents_(opened.latents) {
  if (latents_) {
    check_latents(*latents_, options);
  } else {
    state_ = std::make_unique<State>(opened.images, options);
  }
}

Dataset::~Dataset() = default;

Dataset::State& Dataset::pixels() const {
  SDG_CHECK(state_, "data: latents have no pixels until they are decoded");
  return *state_;
}

int64_t Dataset::size() const {
  return latents_ ? latents_->size() : state_->count;
}
int64_t Dataset::channels() const {
  return latents_ ? latents_->card().channels : state_->channels;
}
int64_t Dataset::image_size() const {
  return latents_ ? latents_->card().size : state_->side;
}
int64_t Dataset::cache_capacity() const {
  return latents_ ? 0 : state_->capacity;
}

int64_t Dataset::broken() const {
  if (latents_) return 0;
  const std::lock_guard lock(state_->mutex);
  return state_->broken;
}

Tensor Dataset::values(at::IntArrayRef indices) const {
  if (latents_) return latents_->means(indices);
  return images(indices).to(at::kFloat).div_(127.5).sub_(1);
}

int64_t Dataset::read_into(int64_t index, uint8_t* out) const {
  State& state = pixels();
  return state.first_good(index, [&](int64_t candidate) { return state.try_read(candidate, out); });
}

int64_t Dataset::shown(int64_t index) const {
  if (latents_) return index;
  std::vector<uint8_t> scratch;
  return state_->first_good(index, [&](int64_t candidate) {
    const Status known = state_->status[candidate].load(std::memory_order_acquire);
    if (known == Status::kGood || known == Status::kCached) return true;
    scratch.resize(static_cast<size_t>(state_->image_bytes));
    return known == Status::kUnread && state_->try_read(candidate, scratch.data());
  });
}

std::vector<int64_t> Dataset::shown(at::IntArrayRef indices) const {
  std::vector<int64_t> out(indices.begin(), indices.end());
  if (latents_) return out;
  constexpr int64_t kRun = 256;  // known images cost nothing, so that a run of them must not cost a call
  const auto total = static_cast<int64_t>(out.size());
  worker_pool().run((total + kRun - 1) / kRun, [&](int64_t run) {
    const auto end = static_cast<size_t>(std::min(total, (run + 1) * kRun));
    for (auto i = static_cast<size_t>(run * kRun); i < end; ++i) out[i] = shown(out[i]);
  });
  return out;
}

Tensor Dataset::image(int64_t index) const {
  Tensor out = at::empty({channels(), image_size(), image_size()}, at::kByte);
  read_into(index, out.mutable_data_ptr<uint8_t>());
  return out;
}

Tensor Dataset::images(at::IntArrayRef indices) const {
  Tensor out = at::empty({static_cast<int64_t>(indices.size()), channels(), image_size(), image_size()}, at::kByte);
  auto* row = out.mutable_data_ptr<uint8_t>();
  const int64_t image_bytes = pixels().image_bytes;
  for (const int64_t index : indices) {
    read_into(index, row);
    row += image_bytes;
  }
  return out;
}

}  // namespace sdg::data
