#pragma once
#include <array>
#include <cstdint>

#include "sdg/config/fields.h"

namespace sdg::recipe {

/// How a network learns to be guided at the price of one evaluation a step.
enum class LearnGuidance {
  kNone,
  kGft,  ///< the strength is an input, drawn for each image (arXiv 2501.15420)
  kMg,   ///< the target is guided by the averaged network, at one strength (arXiv 2502.12154)
};
constexpr auto names_of(LearnGuidance) {
  return std::array{"none", "gft", "mg"};
}

/// Guidance that is learned in training.
struct GuidedOptions {
  int64_t inner = -1;
  double inner_weight = 0.5;
  LearnGuidance learn = LearnGuidance::kNone;
  double weakest = 0.3;
  double scale = 1.5;
  double start = 0;
  void visit(config::Fields& fields);

  /// The largest w that a network of kGft knows.
  double strongest() const { return 1 / weakest; }
};

}  // namespace sdg::recipe
