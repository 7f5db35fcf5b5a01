#include "sdg/image/image.h"

#include <torch/types.h>

#include <cctype>
#include <string_view>

#include "image/image_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/io/atomic_file.h"
#include "sdg/io/file_kind.h"
#include "sdg/io/random_access_file.h"

namespace sdg::image {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 28;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What the bytes are instead, for the error message.
std::string describe(std::span<const std::byte> bytes) {
  using namespace std::string_view_literals;
  if (const auto other = io::other_kind(bytes); !other.empty()) return other;
  const auto text = text_of(bytes);
  if (text.starts_with("GIF8")) return "GIF is not supported: convert it to PNG";
  if (text.starts_with("II*") || text.starts_with("MM\0*"sv)) return "TIFF is not supported: convert it to PNG";
  std::string shown = "it begins with";
  for (const char c : text.substr(0, 8)) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    shown += ' ';
    shown += kDigits[byte >> 4];
    shown += kDigits[byte & 15];
  }
  return shown + ": expected JPEG, PNG, WebP, BMP, PPM or PGM";
}

}  // namespace

Tensor allocate_pixels(int64_t height, int64_t width, int64_t channels, const std::string& name) {
  SDG_CHECK(height > 0 && width > 0, name, ": image of ", height, " x ", width,
            " pixels: damaged, or cut off before its size");
  SDG_CHECK(height <= kMaxPixels / width, name, ": image of ", height, " x ", width, " pixels: the limit is ",
            kMaxPixels, " pixels");
  return at::empty({height, width, channels}, at::kByte);
}

Tensor decode_image(std::span<const std::byte> bytes, const std::string& name) {
  using namespace std::string_view_literals;
  const std::string_view text = text_of(bytes);
  if (text.starts_with("\xFF\xD8\xFF"sv)) return decode_jpeg(bytes, name);
  if (text.starts_with("\x89PNG\r\n\x1A\n"sv)) return decode_png(bytes, name);
  if (is_webp(bytes)) return decode_webp(bytes, name);
  if (text.starts_with("BM"sv)) return decode_bmp(bytes, name);
  if (text.size() > 2 && text[0] == 'P' && "2356"sv.find(text[1]) != std::string_view::npos &&
      (std::isspace(static_cast<unsigned char>(text[2])) || text[2] == '#')) {
    return decode_pnm(bytes, name);
  }
  throw Error(cat(name, ": not an image (", describe(bytes), ")"));
}

Tensor read_image(const std::filesystem::path& path) {
  // Read, not mapped: a file that is cut meanwhile is then one broken image and not the end of the program.
  const io::RandomAccessFile file(path);
  return decode_image(file.read(0, file.size()), path.string());
}

Tensor read_png_classes(const std::filesystem::path& path) {
  const io::RandomAccessFile file(path);
  const auto bytes = file.read(0, file.size());
  SDG_CHECK(text_of(bytes).starts_with("\x89PNG\r\n\x1A\n"), path.string(), ": expected a PNG of class numbers");
  return decode_png_classes(bytes, path.string());
}

namespace {

void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  io::write_atomically(path, [&](std::ostream& out) { out << bytes; });
}

}  // namespace

void write_png(const std::filesystem::path& path, const Tensor& image, const std::string& text) {
  write_bytes(path, encode_png(image, text));
}

void write_picture(const std::filesystem::path& path, const Tensor& image, const std::string& text) {
  write_bytes(path, io::lower_suffix(path.string()) == ".webp" ? encode_webp(image, text) : encode_png(image, text));
}

Tensor image_grid(const Tensor& images, int64_t columns, int64_t gap, int64_t scale) {
  check_shape(images, {-1, -1, -1, -1}, "image_grid: images");
  SDG_CHECK(images.scalar_type() == at::kByte && images.size(0) > 0,
            "image_grid: images must be uint8 and at least one, got ", images.scalar_type(), " ",
            to_string(images.sizes()));
  SDG_CHECK(columns > 0 && gap >= 0 && scale > 0,
            "image_grid: columns and scale must be at least 1 and gap at least 0, got ", columns, ", ", scale, " and ",
            gap);
  const Tensor tiles = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3);  // [N, C, H, W], scaled
  const int64_t count = tiles.size(0), height = tiles.size(2), width = tiles.size(3);
  const int64_t rows = (count + columns - 1) / columns;
  Tensor grid =
      at::full({tiles.size(1), rows * (height + gap) + gap, columns * (width + gap) + gap}, 255, tiles.options());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t top = gap + i / columns * (height + gap), left = gap + i % columns * (width + gap);
    grid.narrow(1, top, height).narrow(2, left, width).copy_(tiles[i]);
  }
  return grid;
}

Tensor to_uint8(const Tensor& images) {
  SDG_CHECK(images.is_floating_point(), "to_uint8: images must be floating point in [-1, 1], got ",
            images.scalar_type());
  const Tensor x =
      images.scalar_type() == at::kDouble ? images : images.to(at::kFloat);  // half cannot count to 255 in halves
  return x.add(1).mul(127.5).round().clamp(0, 255).nan_to_num(0).to(at::kByte);
}

}  // namespace sdg::image
