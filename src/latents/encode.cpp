#include "sdg/latents/encode.h"

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <mutex>

#include "sdg/checkpoint/audit.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/parallel.h"
#include "sdg/core/utf8.h"
#include "sdg/data/crop.h"
#include "sdg/data/fingerprint.h"
#include "sdg/image/image.h"
#include "sdg/model/tiling.h"
#include "sdg/tensors/tensor_stream.h"

namespace sdg::latents {
namespace {

using Rows = std::map<std::string, Tensor>;

// Without the folder or archive, which may move.
std::string short_name(const data::OpenedData& data, int64_t index) {
  std::string name = data.images->name(index);
  if (name.starts_with(data.path)) {
    name.erase(0, data.path.size());
  } else if (const auto below = data.images->short_name(index); !below.empty()) {
    name = below;  // of several paths
  }
  name.erase(0, std::min(name.find_first_not_of("/:"), name.size()));
  std::string line;  // a name a line: that byte alone must not stand in one
  for (const char c : to_utf8(name)) line += c == '\n' ? std::string("\\x0A") : std::string(1, c);
  return line;
}

Tensor names_of(const data::OpenedData& data) {
  std::string text;
  for (int64_t i = 0; i < data.size(); ++i) text += short_name(data, i) + "\n";
  return at::tensor(at::ArrayRef<uint8_t>(reinterpret_cast<const uint8_t*>(text.data()), text.size()), at::kByte);
}

class Encoder {
 public:
  Encoder(const data::OpenedData& data, const model::Autoencoder& autoencoder, const at::Device& device,
          const EncodeOptions& options)
      : data_(data),
        autoencoder_(autoencoder),
        device_(device),
        options_(options),
        labels_(data.labels ? data.labels->labels() : Tensor()) {}

  /// Rows of images first .. first + count, by the names of the file's tensors.
  Rows chunk(int64_t first, int64_t count) {
    if (!device_.is_cpu()) return chunk_on_gpu(first, count);
    std::vector<Rows> rows(static_cast<size_t>(count));
    worker_pool().run(count, [&](int64_t i) {
      const c10::InferenceMode inference;
      const auto [pixels, label] = load(first + i);
      auto& row = rows[static_cast<size_t>(i)];
      row = encode(pixels.unsqueeze(0));
      if (labels_.defined()) row["labels"] = at::full({1}, label, at::kLong);
    });
    Rows joined;
    for (const auto& [name, tensor] : rows.front()) {
      std::vector<Tensor> parts;
      for (const auto& row : rows) parts.push_back(row.at(name));
      joined[name] = at::cat(parts);
    }
    return joined;
  }

  int64_t broken() const { return broken_; }
  int64_t enlarged() const { return enlarged_; }

 private:
  struct Pixels {
    Tensor images;  // uint8 [n, C, S, S]
    Tensor labels;  // int64 [n]
  };

  // Reading the next images goes on while the GPU computes.
  Rows chunk_on_gpu(int64_t first, int64_t count) {
    Pixels pixels = next_.valid() && next_first_ == first ? next_.get() : load_all(first, count);
    const int64_t after = first + count;
    if (after < data_.size()) {
      next_first_ = after;
      const int64_t more = std::min(options_.batch, data_.size() - after);
      next_ = std::async(std::launch::async, [this, after, more] { return load_all(after, more); });
    }
    const c10::InferenceMode inference;
    Rows rows = encode(pixels.images);
    if (labels_.defined()) rows["labels"] = pixels.labels;
    return rows;
  }

  Pixels load_all(int64_t first, int64_t count) {
    Pixels pixels;
    const int64_t channels = autoencoder_.space().image_channels;
    pixels.images = at::empty({count, channels, options_.size, options_.size}, at::kByte);
    pixels.labels = at::zeros({count}, at::kLong);
    worker_pool().run(count, [&](int64_t i) {
      const auto [image, label] = load(first + i);
      pixels.images[i].copy_(image);
      pixels.labels[i].fill_(label);
    });
    return pixels;
  }

  // The image, or the next good one, and its label (0 where there are none).
  std::pair<Tensor, int64_t> load(int64_t index) {
    for (int64_t tried = 0; tried < data_.size(); ++tried) {
      const int64_t candidate = (index + tried) % data_.size();
      try {
        const Tensor image = data_.images->read(candidate);
        if (std::min(image.size(1), image.size(2)) < options_.size) ++enlarged_;
        const int64_t channels = autoencoder_.space().image_channels;
        const Tensor fewer = image.size(0) > channels ? data::to_channels(image, channels) : image;
        const Tensor pixels = data::to_channels(data::adm_center_crop(fewer, options_.size), channels);
        return {pixels, labels_.defined() ? labels_.const_data_ptr<int64_t>()[candidate] : 0};
      } catch (const std::exception& error) {
        note_broken(candidate, error.what());
      }
    }
    throw Error(cat("encode: all ", data_.size(), " images are broken"));
  }

  void note_broken(int64_t index, const std::string& reason) {
    const std::lock_guard lock(mutex_);
    ++broken_;
    const std::string line = reason.substr(0, reason.find('\n'));
    const double share = static_cast<double>(broken_) / static_cast<double>(data_.size());
    SDG_CHECK(share <= options_.max_broken, "encode: broken image ", data_.images->name(index), ": ", line, " (",
              broken_, " of ", data_.size(), "; --max-broken allows a share of ", options_.max_broken, ")");
    log::warning(cat("encode: broken image replaced by the next good one: ", line));
  }

  // pixels uint8 [n, C, S, S]
  Rows encode(const Tensor& pixels) const {
    Rows rows;
    const Tensor x = pixels.to(device_).to(at::kFloat).div_(127.5).sub_(1);
    const auto latents = latents_of(x);
    put(rows, "", latents);
    if (options_.flip) put(rows, "_flipped", latents_of(x.flip({3})));
    if (options_.psnr) rows["psnr"] = psnr(pixels, reconstruct(latents.mean));
    return rows;
  }

  void put(Rows& rows, const std::string& suffix, const model::LatentDistribution& latents) const {
    const auto type = options_.half ? at::kHalf : at::kFloat;
    rows["mean" + suffix] = latents.mean.to(at::kCPU, type);
    if (latents.logvar.defined()) rows["logvar" + suffix] = latents.logvar.to(at::kCPU, type);
  }

  model::LatentDistribution latents_of(const Tensor& x) const {
    return options_.tile > 0 ? model::encode_tiled(autoencoder_, x, tiles()) : autoencoder_.encode(x);
  }
  Tensor reconstruct(const Tensor& mean) const {
    const Tensor x = options_.tile > 0 ? model::decode_tiled(autoencoder_, mean, tiles()) : autoencoder_.decode(mean);
    return image::to_uint8(x).cpu();
  }
  model::TileOptions tiles() const { return {options_.tile, options_.tile / 4, options_.tile / 16}; }

  const data::OpenedData& data_;
  const model::Autoencoder& autoencoder_;
  at::Device device_;
  const EncodeOptions& options_;
  Tensor labels_;
  std::atomic<int64_t> enlarged_{0};
  std::mutex mutex_;
  int64_t broken_ = 0;
  int64_t next_first_ = -1;
  std::future<Pixels> next_;  // last: its thread uses the rest
};

data::LatentCard card_of(const data::OpenedData& data, const model::Autoencoder& autoencoder,
                         const EncodeOptions& options) {
  const auto& space = autoencoder.space();
  data::LatentCard card;
  card.channels = space.channels;
  card.size = options.size / space.factor;
  card.factor = space.factor;
  card.image_channels = space.image_channels;
  card.scale = space.scale;
  card.shift = space.shift;
  card.kind = autoencoder.kind();
  card.autoencoder = options.autoencoder;
  card.encoder_id = autoencoder.encoder_id();
  card.decoder_id = autoencoder.decoder_id();
  card.images = data.path;
  card.images_fingerprint = data::to_text(data::fingerprint(data));
  checkpoint::Provenance chain;
  chain.add(checkpoint::latents_stage(card));
  card.provenance = to_json(chain);
  return card;
}

std::map<std::string, tensors::TensorStream::Slot> slots_of(const data::LatentCard& card, int64_t count,
                                                            int64_t name_bytes, bool gaussian, bool labels,
                                                            const EncodeOptions& options) {
  const auto type = options.half ? at::kHalf : at::kFloat;
  const Shape shape{count, card.channels, card.size, card.size};
  std::map<std::string, tensors::TensorStream::Slot> slots{{"mean", {type, shape}},
                                                           {"names", {at::kByte, {name_bytes}}}};
  if (gaussian) slots["logvar"] = {type, shape};
  if (options.flip) slots["mean_flipped"] = {type, shape};
  if (options.flip && gaussian) slots["logvar_flipped"] = {type, shape};
  if (labels) slots["labels"] = {at::kLong, {count}};
  if (options.psnr) slots["psnr"] = {at::kFloat, {count}};
  return slots;
}

void check(const data::OpenedData& data, const model::Autoencoder& autoencoder, const EncodeOptions& options) {
  const auto& space = autoencoder.space();
  SDG_CHECK_USAGE(data.images, data.path, ": holds latents already; expected images");
  SDG_CHECK_USAGE(autoencoder.has_encoder(), "autoencoder: ", options.autoencoder,
                  " holds no encoder, only a decoder; name ENCODER,DECODER");
  SDG_CHECK_USAGE(!options.psnr || autoencoder.has_decoder(), "--psnr needs a decoder: ", options.autoencoder,
                  " holds only an encoder; name ENCODER,DECODER");
  SDG_CHECK_USAGE(options.size > 0 && options.size % space.factor == 0, "--size: must be a multiple of ", space.factor,
                  " pixels, the side that becomes one latent, got ", options.size);
  SDG_CHECK_USAGE(options.batch >= 1, "--batch: must be at least 1, got ", options.batch);
}

}  // namespace

Tensor psnr(const Tensor& images, const Tensor& others) {
  const auto error = (images.to(at::kDouble) - others.to(at::kDouble)).square().mean({1, 2, 3});  // [N]
  return (10 * at::log10(255.0 * 255.0 / error)).to(at::kFloat);
}

EncodeResult encode(const data::OpenedData& data, const model::Autoencoder& autoencoder, const at::Device& device,
                    const std::filesystem::path& out, const EncodeOptions& options, const Progress& progress,
                    const std::function<bool()>& stop) {
  check(data, autoencoder, options);
  const auto card = card_of(data, autoencoder, options);
  const Tensor names = names_of(data);
  const int64_t count = data.size();
  tensors::TensorStream stream(
      out, slots_of(card, count, names.numel(), autoencoder.is_gaussian(), data.labels != nullptr, options),
      data::to_metadata(card));
  EncodeResult result;
  result.images = count;
  result.found = stream.rows_done();
  stream.write("names", 0, names);
  Encoder encoder(data, autoencoder, device, options);
  for (int64_t first = result.found; first < count; first += options.batch) {
    if (stop && stop()) return result;
    const int64_t n = std::min(options.batch, count - first);
    for (const auto& [name, rows] : encoder.chunk(first, n)) stream.write(name, first, rows);
    stream.commit(first + n);
    result.broken = encoder.broken();
    result.enlarged = encoder.enlarged();
    if (progress) progress(first + n, count);
  }
  stream.finish();
  result.finished = true;
  return result;
}

}  // namespace sdg::latents
