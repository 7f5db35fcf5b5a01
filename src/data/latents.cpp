#include "sdg/data/latents.h"

#include <charconv>
#include <cmath>

#include "data/sources.h"
#include "sdg/core/error.h"
#include "sdg/core/utf8.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::data {
namespace {

constexpr const char* kFormat = "sdg-latents-1";

// The shortest text that reads back as the same number.
std::string exact(double value) {
  char text[32];
  const auto [end, failed] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

Tensor optional(const tensors::TensorFile& file, const std::string& name) {
  const auto found = file.tensors.find(name);
  return found == file.tensors.end() ? Tensor() : found->second;
}

void check_values(const Tensor& values, const Tensor& mean, const std::string& name, const std::string& where) {
  const auto type = values.scalar_type();
  SDG_CHECK(type == at::kFloat || type == at::kHalf || type == at::kBFloat16, where, ": expected `", name,
            "` in float32, float16 or bfloat16, got ", type);
  SDG_CHECK(values.sizes() == mean.sizes(), where, ": `", name, "` is ", to_string(values.sizes()), ", but `mean` is ",
            to_string(mean.sizes()));
}

std::vector<std::string> lines(const Tensor& bytes) {
  std::vector<std::string> out(1);
  const auto* data = bytes.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < bytes.numel(); ++i) {
    if (data[i] == '\n') {
      out.emplace_back();
    } else {
      out.back() += static_cast<char>(data[i]);
    }
  }
  if (out.back().empty()) out.pop_back();
  for (auto& name : out) name = from_utf8(name);
  return out;
}

}  // namespace

std::map<std::string, std::string> to_metadata(const LatentCard& card) {
  std::map<std::string, std::string> out{{"format", kFormat},
                                         {"channels", std::to_string(card.channels)},
                                         {"size", std::to_string(card.size)},
                                         {"factor", std::to_string(card.factor)},
                                         {"image_channels", std::to_string(card.image_channels)},
                                         {"scale", exact(card.scale)},
                                         {"shift", exact(card.shift)},
                                         {"autoencoder", card.autoencoder},
                                         {"autoencoder_kind", card.kind},
                                         {"encoder_id", card.encoder_id},
                                         {"decoder_id", card.decoder_id},
                                         {"images", card.images}};
  if (!card.images_fingerprint.empty()) out["images_fingerprint"] = card.images_fingerprint;
  if (!card.provenance.empty()) out["sdg_provenance"] = card.provenance;
  return out;
}

bool is_latents(const std::map<std::string, std::string>& metadata) {
  const auto found = metadata.find("format");
  return found != metadata.end() && found->second.starts_with("sdg-latents-");
}

LatentCard parse_latent_card(const std::map<std::string, std::string>& metadata, const std::string& where) {
  const auto text = [&](const std::string& key) {
    const auto found = metadata.find(key);
    SDG_CHECK(found != metadata.end(), where, ": not a file of latents: no metadata `", key, "`");
    return found->second;
  };
  const auto number = [&](const std::string& key, auto& value) {
    const std::string given = text(key);
    const auto [end, failed] = std::from_chars(given.data(), given.data() + given.size(), value);
    SDG_CHECK(failed == std::errc() && end == given.data() + given.size(), where, ": metadata `", key,
              "`: expected a number, got '", given, "'");
  };
  SDG_CHECK(text("format") == kFormat, where, ": latents of format ", text("format"), ", this program reads ", kFormat);
  LatentCard card;
  number("channels", card.channels);
  number("size", card.size);
  number("factor", card.factor);
  number("image_channels", card.image_channels);
  number("scale", card.scale);
  number("shift", card.shift);
  SDG_CHECK(card.channels > 0 && card.size > 0 && card.factor > 0 && std::isfinite(card.scale) && card.scale != 0 &&
                std::isfinite(card.shift),
            where, ": metadata: expected positive sizes and a scale that is not 0");
  card.autoencoder = text("autoencoder");
  card.kind = text("autoencoder_kind");
  card.encoder_id = text("encoder_id");
  card.decoder_id = text("decoder_id");
  card.images = text("images");
  const auto later = [&](const char* key) { return metadata.contains(key) ? metadata.at(key) : std::string(); };
  card.images_fingerprint = later("images_fingerprint");
  card.provenance = later("sdg_provenance");
  return card;
}

LatentSource::LatentSource(const std::filesystem::path& path) : where_(path.string()), file_(path) {
  const tensors::TensorFile file = tensors::read_tensors(path);
  card_ = parse_latent_card(file.metadata, where_);
  mean_ = file.at("mean", where_);
  SDG_CHECK(mean_.dim() == 4 && mean_.size(0) > 0 && mean_.size(1) == card_.channels && mean_.size(2) == card_.size &&
                mean_.size(3) == card_.size,
            where_, ": expected `mean` [N, ", card_.channels, ", ", card_.size, ", ", card_.size, "], got ",
            to_string(mean_.sizes()));
  check_values(mean_, mean_, "mean", where_);
  logvar_ = optional(file, "logvar");
  mean_flipped_ = optional(file, "mean_flipped");
  logvar_flipped_ = optional(file, "logvar_flipped");
  if (logvar_.defined()) check_values(logvar_, mean_, "logvar", where_);
  if (mean_flipped_.defined()) check_values(mean_flipped_, mean_, "mean_flipped", where_);
  if (logvar_flipped_.defined()) check_values(logvar_flipped_, mean_, "logvar_flipped", where_);
  SDG_CHECK(logvar_flipped_.defined() == (logvar_.defined() && mean_flipped_.defined()), where_,
            ": expected `logvar_flipped` exactly where there are `logvar` and `mean_flipped`");
  labels_ = optional(file, "labels");
  if (const Tensor names = optional(file, "names"); names.defined()) {
    SDG_CHECK(names.scalar_type() == at::kByte && names.dim() == 1, where_, ": expected `names` uint8 [bytes], got ",
              names.scalar_type(), " ", to_string(names.sizes()));
    names_ = lines(names);
    SDG_CHECK(static_cast<int64_t>(names_.size()) == size(), where_, ": ", names_.size(), " names of ", size(),
              " latents");
  }
}

std::string LatentSource::name(int64_t index) const {
  return names_.empty() ? std::string() : names_.at(static_cast<size_t>(index));
}

void LatentSource::read_into(int64_t index, bool flipped, const float* noise, float* out) const {
  SDG_CHECK(index >= 0 && index < size(), "data: expected an index in [0, ", size(), "), got ", index);
  SDG_CHECK(!flipped || has_flips(), where_, ": holds no latents of mirrored images");
  file_.check_not_shortened();
  const Tensor mean = (flipped ? mean_flipped_ : mean_)[index].to(at::kFloat);
  const Tensor logvar = noise && has_noise() ? (flipped ? logvar_flipped_ : logvar_)[index].to(at::kFloat) : Tensor();
  const auto* means = mean.const_data_ptr<float>();
  const auto* logvars = logvar.defined() ? logvar.const_data_ptr<float>() : nullptr;
  const auto scale = static_cast<float>(card_.scale), shift = static_cast<float>(card_.shift);
  for (int64_t i = 0; i < mean.numel(); ++i) {
    const float raw = logvars ? means[i] + std::exp(0.5F * logvars[i]) * noise[i] : means[i];
    out[i] = scale * (raw - shift);
  }
}

Tensor LatentSource::means(at::IntArrayRef indices) const {
  const int64_t values = card_.channels * card_.size * card_.size;
  Tensor out = at::empty({static_cast<int64_t>(indices.size()), card_.channels, card_.size, card_.size}, at::kFloat);
  auto* row = out.mutable_data_ptr<float>();
  for (const int64_t index : indices) {
    read_into(index, false, nullptr, row);
    row += values;
  }
  return out;
}

OpenedData open_latents(const std::filesystem::path& path) {
  OpenedData data;
  data.latents = std::make_shared<LatentSource>(path);
  if (const auto& labels = data.latents->labels(); labels.defined())
    data.labels = number_labels(labels, data.latents->size(), path.string());
  const auto& card = data.latents->card();
  data.description =
      describe(cat("latents ", path.string(), " (", card.channels, "x", card.size, "x", card.size, ")"), data);
  return data;
}

std::vector<Tensor> LatentSource::stored() const {
  std::vector<Tensor> out;
  for (const auto& tensor : {mean_, logvar_, mean_flipped_, logvar_flipped_}) {
    if (tensor.defined()) out.push_back(tensor);
  }
  return out;
}

Tensor LatentSource::raw_means(int64_t first, int64_t count) const {
  file_.check_not_shortened();
  return mean_.narrow(0, first, count).to(at::kFloat);
}

}  // namespace sdg::data
