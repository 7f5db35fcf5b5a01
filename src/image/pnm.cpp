#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>

#include "image/image_impl.h"
#include "sdg/core/error.h"

namespace sdg::image {
namespace {

// Numbers in decimal, each after white space or comments: the header ("P6", width, height, largest value, then one
// white space), and of a plain file the pixels too.
class Numbers {
 public:
  Numbers(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  int64_t next() {
    skip_space();
    int64_t value = 0;
    const size_t first = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) {
      value = value * 10 + (text_[at_++] - '0');
      SDG_CHECK(value <= INT32_MAX, name_, ": damaged PNM: number too large");
    }
    SDG_CHECK(at_ > first, name_, ": damaged PNM: expected a number at byte ", at_);
    return value;
  }
  size_t place() const { return at_; }

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

// As Pillow: of two values equally near the even one (the default rounding mode).
uint8_t scaled(int64_t value, int64_t largest) {
  return static_cast<uint8_t>(
      std::nearbyint(static_cast<double>(std::min(value, largest)) / static_cast<double>(largest) * 255));
}

void read_plain(Numbers& numbers, int64_t largest, std::span<uint8_t> out, const std::string& name) {
  for (auto& pixel : out) {
    const int64_t value = numbers.next();
    SDG_CHECK(value <= largest, name, ": damaged PNM: value ", value, " is above the largest, ", largest);
    pixel = scaled(value, largest);
  }
}

void read_binary(std::span<const std::byte> bytes, int64_t largest, std::span<uint8_t> out) {
  const size_t width = largest > 255 ? 2 : 1;
  const std::byte* in = bytes.data();
  for (auto& pixel : out) {
    int64_t value = 0;  // big-endian
    for (size_t k = 0; k < width; ++k) value = value << 8 | std::to_integer<int64_t>(*in++);
    pixel = largest == 255 ? static_cast<uint8_t>(value) : scaled(value, largest);
  }
}

}  // namespace

Tensor decode_pnm(std::span<const std::byte> bytes, const std::string& name) {
  const auto kind = std::to_integer<char>(bytes[1]);
  const bool plain = kind == '2' || kind == '3';
  Numbers numbers({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name);
  const int64_t width = numbers.next(), height = numbers.next(), largest = numbers.next();
  SDG_CHECK(largest > 0 && largest < 65536, name, ": damaged PNM: largest value must be 1 to 65535, got ", largest);
  const int64_t channels = kind == '2' || kind == '5' ? 1 : 3;
  const int64_t width_of_value = plain || largest > 255 ? 2 : 1;                   // at least: a digit and a space
  const int64_t given = static_cast<int64_t>(bytes.size() - numbers.place()) - 1;  // behind the space
  Tensor pixels = allocate_pixels(height, width, channels, name);
  SDG_CHECK(given + (plain ? 1 : 0) >= pixels.numel() * width_of_value, name, ": truncated PNM: expected ",
            static_cast<int64_t>(numbers.place()) + 1 + pixels.numel() * width_of_value, " bytes, the file has ",
            bytes.size());
  const std::span out(pixels.mutable_data_ptr<uint8_t>(), static_cast<size_t>(pixels.numel()));
  if (plain) {
    read_plain(numbers, largest, out, name);
  } else {
    read_binary(bytes.subspan(numbers.place() + 1), largest, out);
  }
  return pixels.permute({2, 0, 1}).contiguous();  // [C, H, W]
}

}  // namespace sdg::image
