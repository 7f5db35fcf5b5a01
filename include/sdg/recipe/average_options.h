#pragma once
#include <array>
#include <cstdint>

#include "sdg/config/fields.h"

namespace sdg::recipe {

/// The numbers that kept averages are stored as.
enum class Stored { kFloat16, kFloat32 };
constexpr auto names_of(Stored) {
  return std::array{"float16", "float32"};
}

/// Two averages of the trained network that are kept while training, so that one of any width can be made afterwards
/// (sdg average). They change nothing of the training.
struct AverageOptions {
  bool track = false;
  double narrow = 0.05, wide = 0.10;  ///< widths, average/profile.h
  int64_t every = 100, keep = 32;
  Stored stored = Stored::kFloat16;
  void visit(config::Fields& fields);

  /// Is there a snapshot of that step that stays after `steps` steps? Those of every `spacing(steps)` steps do.
  int64_t spacing(int64_t steps) const;
};

}  // namespace sdg::recipe
