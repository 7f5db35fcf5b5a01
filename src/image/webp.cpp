#include <webp/decode.h>
#include <webp/encode.h>

#include <memory>
#include <string_view>

#include "image/image_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/image/image.h"

namespace sdg::image {
namespace {

constexpr size_t kRiffHeader = 12;  // "RIFF", bytes that follow, "WEBP"

std::string little_endian_bytes(uint64_t value, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

// A chunk begins at an even place.
std::string riff_chunk(const std::string& name, const std::string& data) {
  return name + little_endian_bytes(data.size(), 4) + data + std::string(data.size() % 2, '\0');
}

// EXIF with one entry, ImageDescription (0x010E): a TIFF header and a list of that one, which holds up to four bytes
// itself and else says where they begin: behind the list.
std::string exif_of(const std::string& text) {
  constexpr int kDescription = 0x010E, kAscii = 2, kTextBegins = 26;
  const auto head = std::string("II*\0\x08\0\0\0\x01\0", 10) + little_endian_bytes(kDescription, 2) +
                    little_endian_bytes(kAscii, 2) + little_endian_bytes(text.size() + 1, 4);
  const std::string no_more(4, '\0');
  if (text.size() < 4) return head + text + std::string(4 - text.size(), '\0') + no_more;
  return head + little_endian_bytes(kTextBegins, 4) + no_more + text + '\0';
}

// The same file with the text beside the picture: the extended format has a header that says so.
std::string with_text(const std::string& simple, int64_t height, int64_t width, const std::string& text) {
  constexpr char kHasExif = 0x08;
  const auto header = std::string{kHasExif, 0, 0, 0} + little_endian_bytes(static_cast<uint64_t>(width - 1), 3) +
                      little_endian_bytes(static_cast<uint64_t>(height - 1), 3);
  const auto body =
      "WEBP" + riff_chunk("VP8X", header) + simple.substr(kRiffHeader) + riff_chunk("EXIF", exif_of(text));
  return "RIFF" + little_endian_bytes(body.size(), 4) + body;
}

struct Picture : WebPPicture {
  WebPMemoryWriter memory{};
  Picture(int64_t height_in, int64_t width_in) : WebPPicture{} {
    SDG_CHECK(WebPPictureInit(this), "encode_webp: libwebp has another version than its headers");
    WebPMemoryWriterInit(&memory);
    use_argb = 1;
    height = static_cast<int>(height_in);
    width = static_cast<int>(width_in);
    writer = WebPMemoryWrite;
    custom_ptr = &memory;
  }
  ~Picture() {
    WebPPictureFree(this);
    WebPMemoryWriterClear(&memory);
  }
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;
};

}  // namespace

bool is_webp(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.starts_with("RIFF") && text.size() >= kRiffHeader && text.substr(8, 4) == "WEBP";
}

Tensor decode_webp(std::span<const std::byte> bytes, const std::string& name) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  uint64_t follow = 0;
  for (size_t i = 0; i < 4; ++i) follow |= static_cast<uint64_t>(data[4 + i]) << (8 * i);
  SDG_CHECK(follow + 8 <= bytes.size(), name, ": truncated WebP: expected ", follow + 8, " bytes, the file has ",
            bytes.size());
  WebPBitstreamFeatures features{};
  SDG_CHECK(WebPGetFeatures(data, bytes.size(), &features) == VP8_STATUS_OK, name, ": damaged WebP: no picture in it");
  SDG_CHECK(!features.has_animation, name, ": WebP with several pictures (an animation) is not supported");
  Tensor pixels = allocate_pixels(features.height, features.width, 3, name);
  SDG_CHECK(WebPDecodeRGBInto(data, bytes.size(), pixels.mutable_data_ptr<uint8_t>(),
                              static_cast<size_t>(pixels.numel()), 3 * features.width),
            name, ": damaged WebP");
  return pixels.permute({2, 0, 1}).contiguous();  // [C, H, W]
}

std::string encode_webp(const Tensor& image, const std::string& text) {
  check_shape(image, {-1, -1, -1}, "encode_webp: image");
  SDG_CHECK(image.scalar_type() == at::kByte && (image.size(0) == 1 || image.size(0) == 3) && image.numel() > 0 &&
                image.size(1) <= WEBP_MAX_DIMENSION && image.size(2) <= WEBP_MAX_DIMENSION,
            "encode_webp: image must be uint8 [1 or 3, H, W] of at most ", WEBP_MAX_DIMENSION, " pixels a side, got ",
            image.scalar_type(), " ", to_string(image.sizes()));
  const Tensor pixels = image.detach().to(at::kCPU).expand({3, -1, -1}).permute({1, 2, 0}).contiguous();  // [H, W, 3]
  constexpr int kEffort = 6;  // of 9: beyond it takes many times longer for a hundredth
  WebPConfig config{};
  SDG_CHECK(WebPConfigInit(&config) && WebPConfigLosslessPreset(&config, kEffort), "encode_webp: cannot configure");
  Picture picture(image.size(1), image.size(2));
  SDG_CHECK(WebPPictureImportRGB(&picture, pixels.const_data_ptr<uint8_t>(), static_cast<int>(3 * image.size(2))) &&
                WebPEncode(&config, &picture),
            "encode_webp: cannot encode ", to_string(image.sizes()), ": libwebp's error ",
            static_cast<int>(picture.error_code));
  const std::string simple(reinterpret_cast<const char*>(picture.memory.mem), picture.memory.size);
  return text.empty() ? simple : with_text(simple, image.size(1), image.size(2), text);
}

}  // namespace sdg::image
