#include <algorithm>
#include <cctype>
#include <string_view>

#include "image/image_impl.h"
#include "sdg/core/error.h"

namespace sdg::image {
namespace {

// The header: "P6", width, height, largest value, each after white space or comments, then one white space.
class PnmHeader {
 public:
  PnmHeader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  int64_t number() {
    skip_space();
    int64_t value = 0;
    const size_t first = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) {
      value = value * 10 + (text_[at_++] - '0');
      SDG_CHECK(value <= INT32_MAX, name_, ": damaged PNM: number too large in the header");
    }
    SDG_CHECK(at_ > first, name_, ": damaged PNM: expected a number at byte ", at_);
    return value;
  }
  size_t pixels_start() const { return at_ + 1; }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  void skip_space() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (std::isspace(static_cast<unsigned char>(text_[at_]))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string_view text_;
  const std::string& name_;
  size_t at_ = 2;
};

}  // namespace

Tensor decode_pnm(std::span<const std::byte> bytes, const std::string& name) {
  PnmHeader header({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name);
  const int64_t width = header.number(), height = header.number(), largest = header.number();
  SDG_CHECK(largest > 0 && largest < 65536, name, ": damaged PNM: largest value must be 1 to 65535, got ", largest);
  Tensor pixels = allocate_pixels(height, width, bytes[1] == std::byte{'5'} ? 1 : 3, name);
  const size_t width_of_value = largest > 255 ? 2 : 1;
  const size_t expected = header.pixels_start() + static_cast<size_t>(pixels.numel()) * width_of_value;
  SDG_CHECK(bytes.size() >= expected, name, ": truncated PNM: expected ", expected, " bytes, the file has ",
            bytes.size());

  auto* out = pixels.mutable_data_ptr<uint8_t>();
  const std::byte* in = bytes.data() + header.pixels_start();
  for (int64_t i = 0; i < pixels.numel(); ++i) {
    int64_t value = 0;  // big-endian
    for (size_t k = 0; k < width_of_value; ++k) value = value << 8 | std::to_integer<int64_t>(*in++);
    out[i] = static_cast<uint8_t>((std::min(value, largest) * 255 + largest / 2) / largest);
  }
  return pixels.permute({2, 0, 1}).contiguous();  // [C, H, W]
}

}  // namespace sdg::image
