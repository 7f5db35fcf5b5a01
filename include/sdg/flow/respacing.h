#pragma once
#include <cstdint>
#include <vector>

namespace sdg::flow {

/// The step numbers n, rising, that guided-diffusion keeps of its 1000: the steps are cut into as many sections as
/// `counts` has, and of each so many are kept, at equal distances, rounded half to even, its ends among them. Throws
/// UsageError for more than a section holds.
std::vector<int64_t> respaced_steps(const std::vector<int64_t>& counts);

/// Those of its "ddimN": 0, s, 2 s, … with the first whole stride s that gives `steps` of them. Throws UsageError where
/// none does.
std::vector<int64_t> strided_steps(int64_t steps);

}  // namespace sdg::flow
