#pragma once
#include <vector>

#include "sdg/average/profile.h"

namespace sdg::average {

/// An average of another width as a sum of averages that were kept.
struct Mixture {
  std::vector<double> weights;  ///< of the kept ones, in their order; they sum to 1
  double error = 0;             ///< |sum of weighted profiles - wanted| / |wanted|
};

/// The nearest to the wanted profile by least squares (arXiv 2312.02696, appendix C), among the sums whose weights sum
/// to 1: so what did not move in training stays as it is. Throws Error for none kept.
Mixture mix(const std::vector<Profile>& kept, const Profile& wanted);

}  // namespace sdg::average
