#include <turbojpeg.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <type_traits>

#include "image/image_impl.h"
#include "sdg/core/error.h"

namespace sdg::image {
namespace {

struct Destroy {
  void operator()(void* handle) const { tjDestroy(handle); }
};

// One a picture: after a damaged header the library goes on where it stopped, so a used one would spoil the next
// picture.
using Decoder = std::unique_ptr<std::remove_pointer_t<tjhandle>, Destroy>;

// Entropy-coded data stuffs a zero after each 0xFF, so the first FF D9 behind the last scan's start is the end marker.
bool has_end_marker(std::span<const std::byte> bytes) {
  constexpr std::array kScan{std::byte{0xFF}, std::byte{0xDA}}, kEnd{std::byte{0xFF}, std::byte{0xD9}};
  const auto scan = std::find_end(bytes.begin(), bytes.end(), kScan.begin(), kScan.end());
  return std::search(scan, bytes.end(), kEnd.begin(), kEnd.end()) != bytes.end();
}

// Decoders fill what is missing with grey and only warn. Stray bytes between segments do no harm and occur in ImageNet.
bool is_damage(std::string_view warning) {
  return warning.starts_with("Premature end") ||
         (warning.starts_with("Corrupt JPEG data") && warning.find("extraneous bytes") == std::string_view::npos);
}

uint8_t multiply(uint32_t a, uint32_t b) {  // a * b / 255, rounded
  const uint32_t product = a * b + 128;
  return static_cast<uint8_t>(((product >> 8) + product) >> 8);
}

// Adobe stores CMYK inverted: 255 is no ink. [H, W, 4] → [H, W, 3]
Tensor rgb_of_inverted_cmyk(const Tensor& cmyk) {
  Tensor rgb = at::empty({cmyk.size(0), cmyk.size(1), 3}, at::kByte);
  const auto* in = cmyk.const_data_ptr<uint8_t>();
  auto* out = rgb.mutable_data_ptr<uint8_t>();
  const int64_t pixels = cmyk.size(0) * cmyk.size(1);
  for (int64_t i = 0; i < pixels; ++i) {
    const uint8_t light = in[4 * i + 3];
    for (int c = 0; c < 3; ++c) {
      out[3 * i + c] = static_cast<uint8_t>(light - multiply(255U - in[4 * i + c], light));
    }
  }
  return rgb;
}

}  // namespace

Tensor decode_jpeg(std::span<const std::byte> bytes, const std::string& name) {
  const Decoder decoder(tjInitDecompress());
  SDG_CHECK(decoder, name, ": cannot start libjpeg-turbo: ", tjGetErrorStr());
  const tjhandle handle = decoder.get();
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<unsigned long>(bytes.size());  // NOLINT(google-runtime-int): the library's type
  int width = 0, height = 0, subsampling = -1, colours = -1;
  // Rare subsamplings have no name in this interface and make it fail here, though they decode well below.
  const int status = tjDecompressHeader3(handle, data, size, &width, &height, &subsampling, &colours);
  SDG_CHECK(status == 0 || (width > 0 && height > 0 && colours >= 0), name,
            ": not a readable JPEG: ", tjGetErrorStr2(handle));

  const bool cmyk = colours == TJCS_CMYK || colours == TJCS_YCCK;
  const bool grey = colours == TJCS_GRAY;
  Tensor pixels = allocate_pixels(height, width, grey ? 1 : cmyk ? 4 : 3, name);
  const int format = grey ? TJPF_GRAY : cmyk ? TJPF_CMYK : TJPF_RGB;
  if (tjDecompress2(handle, data, size, pixels.mutable_data_ptr<uint8_t>(), width, 0, height, format,
                    TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0) {
    const std::string_view message = tjGetErrorStr2(handle);
    SDG_CHECK(tjGetErrorCode(handle) == TJERR_WARNING && !is_damage(message), name, ": damaged JPEG: ", message);
    // Only the first warning is told: a harmless one may hide that the file is cut.
    SDG_CHECK(has_end_marker(bytes), name, ": damaged JPEG: no end marker (", message, ")");
  }
  return (cmyk ? rgb_of_inverted_cmyk(pixels) : pixels).permute({2, 0, 1}).contiguous();  // [C, H, W]
}

}  // namespace sdg::image
