#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::report {

using Colour = std::array<uint8_t, 3>;

/// A white picture to draw on: pixels from the top left, what falls outside is cut off.
class Canvas {
 public:
  Canvas(int64_t width, int64_t height);
  int64_t width() const { return width_; }
  int64_t height() const { return height_; }

  void fill(double x, double y, double w, double h, Colour colour);
  void line(double x0, double y0, double x1, double y1, Colour colour, int64_t thickness = 1);
  void disc(double x, double y, double radius, Colour colour);
  /// Text with its top left corner at (x, y); printable ASCII, other characters become '?'. Letters are about
  /// 6 x 8 pixels times `scale`.
  void text(double x, double y, const std::string& text, Colour colour, int64_t scale = 1);
  static double text_width(const std::string& text, int64_t scale = 1);
  /// The same, centred around x, or ending there.
  void text_centred(double x, double y, const std::string& text, Colour colour, int64_t scale = 1);
  void text_right(double x, double y, const std::string& text, Colour colour, int64_t scale = 1);

  /// uint8 [3, height, width]
  Tensor image() const;

 private:
  int64_t width_, height_;
  std::vector<uint8_t> pixels_;  ///< [height, width, 3]
};

}  // namespace sdg::report
