#pragma once
#include <string>
#include <vector>

#include "sdg/recipe/run_config.h"

namespace sdg::network {

/// One way in which images of a network can be guided, for people.
struct GuidanceWay {
  std::string how;    ///< "guidance W with guide null: away from the null condition"
  int64_t calls = 1;  ///< of the network, for each evaluation
};

/// What a trained network can do, by what it was trained with. `conditioned`: had its conditions begun?
std::vector<GuidanceWay> ways_to_guide(const recipe::RunConfig& config, bool conditioned);

}  // namespace sdg::network
