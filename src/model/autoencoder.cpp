#include "sdg/model/autoencoder.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "sdg/config/find.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/rng.h"
#include "sdg/model/autoencoder_kl.h"
#include "sdg/model/taesd.h"
#include "sdg/tensors/weights.h"

namespace sdg::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kStableDiffusionScale = 0.18215;  // 1 / standard deviation of SD 1.x latents
constexpr int64_t kGroups = 32;

// A pipeline's folder has its autoencoder in one of its own.
fs::path autoencoder_folder(const fs::path& folder) {
  return !fs::exists(folder / "config.json") && fs::is_directory(folder / "vae") ? folder / "vae" : folder;
}

// diffusers' config.json, if it stands beside the weights.
void read_config(const fs::path& path, AutoencoderOptions& options) {
  std::ifstream file(path);
  if (!file) return;
  const auto root = json::parse(file, nullptr, /*allow_exceptions=*/false);
  SDG_CHECK(root.is_object(), "autoencoder: ", path.string(), ": not a JSON object");
  if (!root.value("_class_name", json()).is_string() ||
      !root["_class_name"].get<std::string>().starts_with("Autoencoder"))
    return;
  const auto number = [&](const char* key, auto& value) {
    const auto found = root.find(key);
    if (!value && found != root.end() && found->is_number()) value = found->template get<double>();
  };
  number("scaling_factor", options.scale);
  number("shift_factor", options.shift);
  std::optional<double> groups;
  number("norm_num_groups", groups);
  if (groups && !options.norm_groups) options.norm_groups = static_cast<int64_t>(*groups);
}

void read_metadata(const std::map<std::string, std::string>& metadata, const std::string& where,
                   AutoencoderOptions& options) {
  const auto number = [&](const char* key) -> std::optional<double> {
    const auto found = metadata.find(key);
    if (found == metadata.end()) return std::nullopt;
    try {
      return std::stod(found->second);
    } catch (const std::exception&) {
      throw Error(cat(where, ": metadata ", key, ": expected a number, got '", found->second, "'"));
    }
  };
  if (!options.scale) options.scale = number("scaling_factor");
  if (!options.shift) options.shift = number("shift_factor");
  if (!options.norm_groups) {
    if (const auto groups = number("norm_num_groups")) options.norm_groups = static_cast<int64_t>(*groups);
  }
}

// Channels of the latents of a KL autoencoder, from whichever half is there.
int64_t kl_channels(const std::map<std::string, Tensor>& weights) {
  for (const char* name : {"post_quant_conv.weight", "decoder.conv_in.weight"}) {
    const auto found = weights.find(name);
    if (found != weights.end() && found->second.dim() == 4) return found->second.size(1);
  }
  const auto found = weights.find("encoder.conv_out.weight");
  return found == weights.end() || found->second.dim() != 4 ? 0 : found->second.size(0) / 2;
}

std::shared_ptr<const Autoencoder> make_kl(const std::map<std::string, Tensor>& weights,
                                           const AutoencoderOptions& options, const at::Device& device,
                                           const std::string& where) {
  LatentSpace space;
  const int64_t channels = kl_channels(weights);
  SDG_CHECK_USAGE(options.scale || channels == 4, where, ": latents of ", channels,
                  " channels and no config.json that tells their scale: give --scale (and --shift), SD 3 has 1.5305 "
                  "and 0.0609, FLUX.1 0.3611 and 0.1159");
  space.scale = options.scale.value_or(kStableDiffusionScale);
  space.shift = options.shift.value_or(0);
  return std::make_shared<AutoencoderKl>(weights, options.norm_groups.value_or(kGroups), space, device, where);
}

}  // namespace

std::vector<fs::path> autoencoder_files(const std::string& files) {
  const auto there = [](const std::string& name) { return fs::exists(config::expand_path(name)); };
  std::vector<std::string> names;
  for (size_t comma = files.find(','); names.empty() && comma != std::string::npos;
       comma = files.find(',', comma + 1)) {
    if (there(files.substr(0, comma)) && there(files.substr(comma + 1)))
      names = {files.substr(0, comma), files.substr(comma + 1)};
  }
  if (there(files)) names = {files};
  if (names.empty()) {
    std::istringstream parts(files);
    for (std::string part; std::getline(parts, part, ',');) {
      if (!part.empty()) names.push_back(part);
    }
  }
  std::vector<fs::path> out;
  for (const auto& name : names) out.emplace_back(config::expand_path(name));
  return out;
}

Tensor LatentDistribution::std() const {
  return logvar.defined() ? logvar.mul(0.5).exp_() : at::zeros_like(mean);
}

Tensor LatentDistribution::sample(const Tensor& noise) const {
  return logvar.defined() ? mean + std() * noise : mean;
}

Tensor LatentDistribution::kl() const {
  SDG_CHECK(logvar.defined(), "autoencoder: a deterministic encoder has no divergence");
  return (mean.square() + logvar.exp() - 1 - logvar).sum({1, 2, 3}).mul_(0.5);  // [N]
}

Tensor LatentSpace::to_model(const Tensor& raw) const {
  return (raw - shift) * scale;
}

Tensor LatentSpace::from_model(const Tensor& scaled) const {
  return scaled / scale + shift;
}

void Autoencoder::check_images(const Tensor& images) const {
  SDG_CHECK(has_encoder(), "autoencoder: there is no encoder, only a decoder was loaded");
  SDG_CHECK(images.dim() == 4 && images.size(1) == space_.image_channels && images.size(2) % space_.factor == 0 &&
                images.size(3) % space_.factor == 0 && images.numel() > 0,
            "autoencoder: expected images [N, ", space_.image_channels, ", H, W] with sides that are multiples of ",
            space_.factor, ", got ", to_string(images.sizes()));
}

void Autoencoder::check_raw(const Tensor& raw) const {
  SDG_CHECK(has_decoder(), "autoencoder: there is no decoder, only an encoder was loaded");
  SDG_CHECK(raw.dim() == 4 && raw.size(1) == space_.channels && raw.numel() > 0, "autoencoder: expected latents [N, ",
            space_.channels, ", h, w], got ", to_string(raw.sizes()));
}

std::string weights_id(const std::map<std::string, Tensor>& weights, const std::vector<std::string>& prefixes) {
  uint64_t id = 0;
  bool any = false;
  for (const auto& [name, tensor] : weights) {
    const bool wanted = std::any_of(prefixes.begin(), prefixes.end(),
                                    [&, &key = name](const std::string& prefix) { return key.starts_with(prefix); });
    if (!wanted || tensor.is_meta()) continue;
    any = true;
    const Tensor data = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
    const std::string_view bytes(static_cast<const char*>(data.const_data_ptr()), data.nbytes());
    id = id * 0x9E3779B97F4A7C15ULL + (rng::hash(name) ^ rng::hash(bytes));
  }
  if (!any) return "";
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(id));
  return text;
}

std::shared_ptr<const Autoencoder> make_autoencoder(std::map<std::string, Tensor> weights,
                                                    const AutoencoderOptions& options, const at::Device& device,
                                                    const std::string& where) {
  if (is_taesd(weights)) {
    LatentSpace space;
    space.scale = options.scale.value_or(1);
    space.shift = options.shift.value_or(0);
    return std::make_shared<Taesd>(taesd_canonical_names(weights), space, device, where);
  }
  SDG_CHECK(is_kl(weights), where, ": expected an autoencoder (KL or TAESD), these are ", weights.size(),
            " tensors of something else",
            weights.empty() ? std::string() : cat(", the first is '", weights.begin()->first, "'"));
  const bool quantised = std::any_of(weights.begin(), weights.end(), [](const auto& item) {
    return item.first.ends_with("quantize.embedding.weight") || item.first.ends_with("quantize.embed.weight");
  });
  SDG_CHECK(!quantised, where,
            ": an autoencoder with a code book (VQ), whose latents are no Gaussian; expected KL or TAESD");
  return make_kl(kl_canonical_names(weights), options, device, where);
}

std::shared_ptr<const Autoencoder> load_autoencoder(const std::string& files, const AutoencoderOptions& options,
                                                    const at::Device& device) {
  const auto paths = autoencoder_files(files);
  SDG_CHECK_USAGE(paths.size() == 1 || paths.size() == 2,
                  "autoencoder: expected FILE, ENCODER,DECODER or a folder, got '", files, "'");
  AutoencoderOptions known = options;
  std::map<std::string, Tensor> weights;
  for (auto path : paths) {
    SDG_CHECK(fs::exists(path), "autoencoder: weights ", path.string(), " not found");
    if (fs::is_directory(path)) path = autoencoder_folder(path);
    auto file = tensors::read_weights(path);
    read_config(file.file.parent_path() / "config.json", known);
    for (const auto& note : file.notes) log::info(cat("autoencoder ", path.string(), ": ", note));
    read_metadata(file.metadata, path.string(), known);
    // Two files of the public TAESD have the same names in both: each gets its own first.
    auto own = is_taesd(file.tensors) ? taesd_canonical_names(file.tensors) : std::move(file.tensors);
    for (auto& [name, tensor] : own) {
      SDG_CHECK(weights.emplace(name, tensor).second, "autoencoder: ", files, ": both files hold ", name,
                "; expected an encoder and a decoder");
    }
  }
  return make_autoencoder(std::move(weights), known, device, cat("autoencoder ", files));
}

}  // namespace sdg::model
