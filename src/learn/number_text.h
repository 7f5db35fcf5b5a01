#pragma once
#include <cmath>
#include <string>

#include "sdg/core/error.h"

namespace sdg::learn {

/// "nan", "infinite", or the number.
inline std::string number_text(double value) {
  return std::isnan(value) ? "nan" : std::isinf(value) ? "infinite" : cat(value);
}

}  // namespace sdg::learn
