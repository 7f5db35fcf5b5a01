#include "report/canvas.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <ATen/ATen.h>

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#endif
#include <stb_easy_font.h>
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

namespace sdg::report {
namespace {

// The font's functions take a mutable string and know ASCII only.
std::vector<char> printable(const std::string& text) {
  std::vector<char> out;
  for (const char c : text) out.push_back(c >= 32 && c < 127 ? c : '?');
  out.push_back('\0');
  return out;
}

struct Corner {  // what the font writes for each corner of a filled rectangle
  float x, y, z;
  uint8_t colour[4];
};

}  // namespace

Canvas::Canvas(int64_t width, int64_t height)
    : width_(width), height_(height), pixels_(static_cast<size_t>(width * height * 3), 255) {}

void Canvas::fill(double x, double y, double w, double h, Colour colour) {
  const auto clamp = [](double value, int64_t size) { return std::clamp<int64_t>(std::llround(value), 0, size); };
  const int64_t x0 = clamp(x, width_), x1 = clamp(x + w, width_), y0 = clamp(y, height_), y1 = clamp(y + h, height_);
  for (int64_t row = y0; row < y1; ++row) {
    for (int64_t column = x0; column < x1; ++column)
      std::copy(colour.begin(), colour.end(), pixels_.begin() + (row * width_ + column) * 3);
  }
}

void Canvas::line(double x0, double y0, double x1, double y1, Colour colour, int64_t thickness) {
  const double length = std::max(std::abs(x1 - x0), std::abs(y1 - y0));
  const auto points = static_cast<int64_t>(std::ceil(length)) + 1;
  const double half = static_cast<double>(thickness - 1) / 2;
  for (int64_t i = 0; i < points; ++i) {
    const double u = points > 1 ? static_cast<double>(i) / static_cast<double>(points - 1) : 0;
    fill(std::round(x0 + u * (x1 - x0) - half), std::round(y0 + u * (y1 - y0) - half), static_cast<double>(thickness),
         static_cast<double>(thickness), colour);
  }
}

void Canvas::disc(double x, double y, double radius, Colour colour) {
  for (double dy = -std::floor(radius); dy <= radius; ++dy) {
    const double half = std::sqrt(std::max(0.0, radius * radius - dy * dy));
    fill(std::round(x - half), std::round(y + dy), std::round(2 * half + 1), 1, colour);
  }
}

void Canvas::text(double x, double y, const std::string& text, Colour colour, int64_t scale) {
  auto letters = printable(text);
  std::vector<char> buffer(letters.size() * 300 + 64);
  const int quads = stb_easy_font_print(0, 0, letters.data(), nullptr, buffer.data(), static_cast<int>(buffer.size()));
  const auto s = static_cast<double>(scale);
  for (int i = 0; i < quads; ++i) {
    std::array<Corner, 4> corners;
    std::memcpy(corners.data(), buffer.data() + static_cast<size_t>(i) * sizeof corners, sizeof corners);
    const auto &a = corners[0], &b = corners[2];
    fill(x + s * a.x, y + s * a.y, s * (b.x - a.x), s * (b.y - a.y), colour);
  }
}

double Canvas::text_width(const std::string& text, int64_t scale) {
  auto letters = printable(text);
  return static_cast<double>(stb_easy_font_width(letters.data())) * static_cast<double>(scale);
}

void Canvas::text_centred(double x, double y, const std::string& words, Colour colour, int64_t scale) {
  text(x - text_width(words, scale) / 2, y, words, colour, scale);
}

void Canvas::text_right(double x, double y, const std::string& words, Colour colour, int64_t scale) {
  text(x - text_width(words, scale), y, words, colour, scale);
}

Tensor Canvas::image() const {
  return at::from_blob(const_cast<uint8_t*>(pixels_.data()), {height_, width_, 3}, at::kByte)
      .permute({2, 0, 1})
      .contiguous()
      .clone();
}

}  // namespace sdg::report
