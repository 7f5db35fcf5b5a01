#pragma once
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg {

/// A number that may still be in the making on a device. Whoever uses it as a number reads it, once, and waits for the
/// device until it is there; what is passed on, added up or thrown away unread costs no waiting.
class Figure {
 public:
  Figure(double value = 0) : value_(value) {}  // NOLINT: numbers are figures
  /// Of a tensor of one element, kept as float64 where it lies, without its graph.
  static Figure of(const Tensor& scalar);

  operator double() const;  // NOLINT: figures are numbers
  /// Was it read, or never anywhere else?
  bool known() const { return !there_.defined(); }
  /// The tensor, a float64 scalar on its device; of a known figure one on the CPU.
  Tensor tensor() const;

  /// Where both are known the sum of doubles; else one in the making.
  Figure plus(const Figure& other) const;
  Figure times(double factor) const;

  /// Makes all of them known by one reading, however many there are.
  static void read(const std::vector<const Figure*>& figures);

 private:
  mutable double value_ = 0;
  mutable Tensor there_;
};

}  // namespace sdg
