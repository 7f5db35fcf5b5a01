#include <cstdint>
#include <optional>
#include <string_view>

#include "image/image_impl.h"
#include "sdg/image/image.h"

namespace sdg::image {
namespace {

using namespace std::string_view_literals;

constexpr unsigned kOrientationTag = 0x0112;
constexpr int64_t kUpright = 1;

// Numbers of a text in either byte order; beyond its end there are zeros.
class Reader {
 public:
  Reader(std::string_view text, bool big_endian) : text_(text), big_endian_(big_endian) {}
  uint64_t number(size_t at, size_t bytes) const {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      const size_t place = at + (big_endian_ ? i : bytes - 1 - i);
      value = value << 8 | (place < text_.size() ? static_cast<unsigned char>(text_[place]) : 0U);
    }
    return value;
  }

 private:
  std::string_view text_;
  bool big_endian_;
};

// Of a TIFF file, which is what an EXIF block holds.
std::optional<int64_t> orientation_of_tiff(std::string_view tiff) {
  const bool big = tiff.starts_with("MM");
  if (!big && !tiff.starts_with("II")) return {};
  const Reader reader(tiff, big);
  const size_t first = reader.number(4, 4), entries = reader.number(first, 2);
  for (size_t i = 0; i < entries && first + 2 + 12 * (i + 1) <= tiff.size(); ++i) {
    const size_t at = first + 2 + 12 * i;
    if (reader.number(at, 2) != kOrientationTag) continue;
    constexpr unsigned kLong = 4;
    return static_cast<int64_t>(reader.number(at + 8, reader.number(at + 2, 2) == kLong ? 4 : 2));
  }
  return {};
}

// Of XMP, where editors write it too: tiff:Orientation="6" or <tiff:Orientation>6</...>.
std::optional<int64_t> orientation_of_xmp(std::string_view xmp) {
  constexpr std::string_view kKey = "tiff:Orientation";
  for (size_t at = xmp.find(kKey); at != std::string_view::npos; at = xmp.find(kKey, at + 1)) {
    const auto rest = xmp.substr(at + kKey.size());
    const size_t digit = rest.starts_with("=\"") ? 2 : rest.starts_with('>') ? 1 : 0;
    if (digit > 0 && digit < rest.size() && rest[digit] >= '0' && rest[digit] <= '9') return rest[digit] - '0';
  }
  return {};
}

std::optional<int64_t> orientation_of_jpeg(std::string_view text) {
  const Reader reader(text, true);
  std::optional<int64_t> from_xmp;
  for (size_t at = 2; at + 4 <= text.size();) {
    const uint64_t marker = reader.number(at, 2);
    if (marker == 0xFFFF) {  // fill bytes
      ++at;
      continue;
    }
    constexpr uint64_t kStartOfScan = 0xFFDA, kApplication1 = 0xFFE1;
    if (marker >> 8 != 0xFF || marker == kStartOfScan) break;
    const auto segment = text.substr(at + 4, std::max<uint64_t>(reader.number(at + 2, 2), 2) - 2);
    if (marker == kApplication1 && segment.starts_with("Exif\0\0"sv)) {
      if (const auto found = orientation_of_tiff(segment.substr(6))) return found;
    }
    if (marker == kApplication1 && segment.starts_with("http://ns.adobe.com/xap/1.0/\0"sv))
      from_xmp = orientation_of_xmp(segment);
    at += 2 + std::max<uint64_t>(reader.number(at + 2, 2), 2);
  }
  return from_xmp;
}

std::optional<int64_t> orientation_of_png(std::string_view text) {
  const Reader reader(text, true);
  std::optional<int64_t> from_xmp;
  for (size_t at = 8; at + 12 <= text.size();) {
    const uint64_t length = reader.number(at, 4);
    const auto type = text.substr(at + 4, 4), data = text.substr(at + 8, length);
    if (type == "eXIf") {
      const auto found = orientation_of_tiff(data.starts_with("Exif\0\0"sv) ? data.substr(6) : data);
      if (found) return found;
    }
    if (type == "iTXt" && data.starts_with("XML:com.adobe.xmp\0"sv)) from_xmp = orientation_of_xmp(data);
    at += 12 + length;
  }
  return from_xmp;
}

std::optional<int64_t> orientation_of_webp(std::string_view text) {
  const Reader reader(text, false);
  std::optional<int64_t> from_xmp;
  for (size_t at = 12; at + 8 <= text.size();) {
    const uint64_t length = reader.number(at + 4, 4);
    const auto type = text.substr(at, 4), data = text.substr(at + 8, length);
    if (type == "EXIF") {
      const auto found = orientation_of_tiff(data.starts_with("Exif\0\0"sv) ? data.substr(6) : data);
      if (found) return found;
    }
    if (type == "XMP ") from_xmp = orientation_of_xmp(data);
    at += 8 + length + length % 2;
  }
  return from_xmp;
}

}  // namespace

int64_t exif_orientation(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto found = text.starts_with("\xFF\xD8"sv)  ? orientation_of_jpeg(text)
                     : text.starts_with("\x89PNG"sv) ? orientation_of_png(text)
                     : is_webp(bytes)                ? orientation_of_webp(text)
                                                     : std::nullopt;
  constexpr int64_t kMost = 8;
  return found && *found >= kUpright && *found <= kMost ? *found : kUpright;
}

}  // namespace sdg::image
