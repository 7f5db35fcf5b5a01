// The one place where stb's code is compiled. Its readers do not check sums and some trust sizes, so both are checked
// here first.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#include <stb_image.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "image/image_impl.h"
#include "io/crc32_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/image/image.h"

namespace sdg::image {
namespace {

uint32_t big_endian(std::span<const std::byte> bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(bytes[at + i]);
  return value;
}
uint32_t little_endian(std::span<const std::byte> bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= std::to_integer<uint32_t>(bytes[at + i]) << (8 * i);
  return value;
}

// A capital first letter says that without this chunk the picture cannot be shown right.
void check_chunk_type(std::string_view type, size_t at, const std::string& name) {
  const auto is_letter = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  SDG_CHECK(std::all_of(type.begin(), type.end(), is_letter), name, ": damaged PNG: no chunk at byte ", at);
  const bool known = type == "IHDR" || type == "PLTE" || type == "IDAT" || type == "IEND";
  SDG_CHECK(known || type.front() >= 'a', name, ": PNG with an unknown critical chunk, ", type,
            type == "CgBI" ? " (Apple's own kind, of which red and blue are swapped; xcrun pngcrush "
                             "-revert-iphone-optimizations makes it a PNG)"
                           : "");
}

// Walks length, type, data, sum of every chunk up to IEND.
void check_png_chunks(std::span<const std::byte> bytes, const std::string& name) {
  size_t at = 8;
  while (true) {
    SDG_CHECK(bytes.size() - at >= 12, name, ": truncated PNG: it ends inside a chunk at byte ", at);
    const uint64_t length = big_endian(bytes, at);
    SDG_CHECK(length <= bytes.size() - at - 12, name, ": truncated PNG: the chunk at byte ", at, " has ", length,
              " bytes of data, the file ", bytes.size() - at - 12);
    const std::string_view type(reinterpret_cast<const char*>(bytes.data()) + at + 4, 4);
    check_chunk_type(type, at, name);
    const bool critical = type == "IHDR" || type == "PLTE" || type == "IDAT" || type == "IEND" || type == "tRNS";
    SDG_CHECK(!critical || io::crc32(bytes.subspan(at + 4, 4 + length)) == big_endian(bytes, at + 8 + length), name,
              ": damaged PNG: wrong checksum in the chunk at byte ", at);
    if (type == "IEND") return;
    at += 12 + length;
  }
}

struct Free {
  void operator()(void* data) const { stbi_image_free(data); }
};

Tensor decode_stb(std::span<const std::byte> bytes, const std::string& name, const char* kind) {
  SDG_CHECK(bytes.size() <= std::numeric_limits<int>::max(), name, ": ", kind, " of more than 2 GiB");
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const auto size = static_cast<int>(bytes.size());
  int width = 0, height = 0, stored = 0;
  SDG_CHECK(stbi_info_from_memory(data, size, &width, &height, &stored), name, ": not a readable ", kind, ": ",
            stbi_failure_reason());
  const int channels = stored <= 2 ? 1 : 3;
  Tensor pixels = allocate_pixels(height, width, channels, name);
  const std::unique_ptr<stbi_uc, Free> loaded(stbi_load_from_memory(data, size, &width, &height, &stored, channels));
  SDG_CHECK(loaded && pixels.size(0) == height && pixels.size(1) == width, name, ": damaged ", kind, ": ",
            loaded ? "two sizes" : stbi_failure_reason());
  std::copy_n(loaded.get(), pixels.numel(), pixels.mutable_data_ptr<uint8_t>());
  return pixels.permute({2, 0, 1}).contiguous();  // [C, H, W]
}

// Colours that a short palette leaves out are black, as in Pillow; stb_image would take them from uninitialised memory.
// The PNG (whose chunks have been checked) with 256 colours; empty where it has no palette or all of them.
std::string with_whole_palette(std::span<const std::byte> bytes) {
  constexpr size_t kSignature = 8, kAround = 12, kColours = 3 * 256, kColourType = 25;
  if (bytes.size() <= kColourType || std::to_integer<int>(bytes[kColourType]) != 3) return {};
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  for (size_t at = kSignature; at + kAround <= bytes.size();) {
    const auto length = static_cast<size_t>(big_endian(bytes, at));
    if (std::string_view(text + at + 4, 4) == "PLTE" && length < kColours) {
      std::string out(text, at);
      out += std::string("\0\0\3\0PLTE", 8);
      out.append(text + at + 8, length).append(kColours - length + 4, '\0');  // stb_image reads no checksum
      return out.append(text + at + kAround + length, bytes.size() - at - kAround - length);
    }
    at += kAround + length;
  }
  return {};
}

}  // namespace

Tensor decode_png(std::span<const std::byte> bytes, const std::string& name) {
  check_png_chunks(bytes, name);
  const auto whole = with_whole_palette(bytes);
  return decode_stb(whole.empty() ? bytes : std::as_bytes(std::span(whole)), name, "PNG");
}

Tensor decode_png_classes(std::span<const std::byte> bytes, const std::string& name) {
  constexpr size_t kDepth = 24, kColourType = 25, kAround = 12;
  check_png_chunks(bytes, name);
  const int depth = std::to_integer<int>(bytes[kDepth]), type = std::to_integer<int>(bytes[kColourType]);
  if (type == 0) {
    SDG_CHECK(depth == 8, name, ": a PNG of class numbers in grey must have 8 bits a pixel, got ", depth);
    return decode_stb(bytes, name, "PNG")[0];
  }
  SDG_CHECK(type == 3, name, ": a PNG of class numbers must be grey of 8 bits or have a palette, this one has colours");
  // With a palette whose colour i is (i, i, i), and without transparency, the colours are the indices.
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  std::string out(text, 8);
  for (size_t at = 8; at + kAround <= bytes.size();) {
    const auto length = static_cast<size_t>(big_endian(bytes, at));
    const std::string_view kind(text + at + 4, 4);
    if (kind == "PLTE") {
      out += std::string("\0\0\3\0PLTE", 8);
      for (int i = 0; i < 256; ++i) out.append(3, static_cast<char>(i));
      out.append(4, '\0');  // stb_image reads no checksum
    } else if (kind != "tRNS") {
      out.append(text + at, length + kAround);
    }
    at += kAround + length;
  }
  return decode_stb(std::as_bytes(std::span(out)), name, "PNG")[0].contiguous();
}

Tensor decode_bmp(std::span<const std::byte> bytes, const std::string& name) {
  constexpr size_t kHeader = 54;
  SDG_CHECK(bytes.size() >= kHeader, name, ": truncated BMP: ", bytes.size(), " bytes");
  const uint64_t start = little_endian(bytes, 10, 4), width = little_endian(bytes, 18, 4),
                 bits = little_endian(bytes, 28, 2);
  const auto signed_height = static_cast<int32_t>(little_endian(bytes, 22, 4));  // negative: rows from the top
  const uint64_t height = signed_height < 0 ? -static_cast<int64_t>(signed_height) : signed_height;
  SDG_CHECK(little_endian(bytes, 14, 4) >= 40, name, ": BMP with a header older than Windows 3 is not supported");
  allocate_pixels(static_cast<int64_t>(height), static_cast<int64_t>(width), 0, name);  // checks the size
  const uint64_t expected = start + height * ((width * bits + 31) / 32 * 4);
  SDG_CHECK(bytes.size() >= expected, name, ": truncated BMP: expected ", expected, " bytes, the file has ",
            bytes.size());
  return decode_stb(bytes, name, "BMP");
}

namespace {

constexpr size_t kHeaderEnd = 8 + 25;  // of every PNG: signature and IHDR

std::string big_endian_bytes(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
  return out;
}

std::string text_chunk(const std::string& text) {
  const std::string body = std::string("tEXt") + "sdg" + '\0' + text;
  return big_endian_bytes(static_cast<uint32_t>(body.size() - 4)) + body +
         big_endian_bytes(io::crc32(std::as_bytes(std::span(body))));
}

}  // namespace

std::string encode_png(const Tensor& image, const std::string& text) {
  check_shape(image, {-1, -1, -1}, "encode_png: image");
  const int64_t channels = image.size(0);
  SDG_CHECK(image.scalar_type() == at::kByte && (channels == 1 || channels == 3) && image.numel() > 0,
            "encode_png: image must be uint8 [1 or 3, H, W], got ", image.scalar_type(), " ", to_string(image.sizes()));
  const Tensor pixels = image.detach().to(at::kCPU).permute({1, 2, 0}).contiguous();  // [H, W, C]
  std::string out;
  const auto append = [](void* to, void* data, int count) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), static_cast<size_t>(count));
  };
  const int written = stbi_write_png_to_func(
      append, &out, static_cast<int>(image.size(2)), static_cast<int>(image.size(1)), static_cast<int>(channels),
      pixels.const_data_ptr<uint8_t>(), static_cast<int>(image.size(2) * channels));
  SDG_CHECK(written, "encode_png: cannot encode ", to_string(image.sizes()));
  if (!text.empty()) out.insert(kHeaderEnd, text_chunk(text));
  return out;
}

}  // namespace sdg::image
