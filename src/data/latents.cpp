#include "sdg/data/latents.h"

#include <charconv>
#include <cmath>

#include "sdg/core/error.h"

namespace sdg::data {
namespace {

constexpr const char* kFormat = "sdg-latents-2";
constexpr const char* kFormatWithoutChecksum = "sdg-latents-1";

// The shortest text that reads back as the same number.
std::string exact(double value) {
  char text[32];
  const auto [end, failed] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
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
  SDG_CHECK(text("format") == kFormat || text("format") == kFormatWithoutChecksum, where, ": latents of format ",
            text("format"), ", this program reads ", kFormat, " and ", kFormatWithoutChecksum);
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

}  // namespace sdg::data
