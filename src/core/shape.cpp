#include "sdg/core/shape.h"

#include "sdg/core/error.h"

namespace sdg {

std::string to_string(at::IntArrayRef shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i) out += ", ";
    out += shape[i] < 0 ? std::string("*") : std::to_string(shape[i]);
  }
  return out + "]";
}

void check_shape(const Tensor& x, std::initializer_list<int64_t> expected, std::string_view name) {
  SDG_CHECK(x.defined(), name, " must be ", to_string(expected), ", got an undefined tensor");
  bool same = x.dim() == static_cast<int64_t>(expected.size());
  int64_t axis = 0;
  for (auto extent : expected) {
    if (!same) break;
    same = extent < 0 || x.size(axis) == extent;
    ++axis;
  }
  SDG_CHECK(same, name, " must be ", to_string(expected), ", got ", to_string(x.sizes()));
}

}  // namespace sdg
