#pragma once
#include <cstdint>
#include <string>

#include "sdg/recipe/run_config.h"

namespace sdg::network {

/// What a configuration will take, known before anything is allocated.
struct Cost {
  int64_t parameters = 0;        ///< of the network and the head
  int64_t macs = 0;              ///< multiply-adds of one forward pass of one image
  int64_t state_bytes = 0;       ///< weights, average, gradient and AdamW's two moments
  int64_t activation_bytes = 0;  ///< kept for the backward pass of the images that are under way at once; an estimate
  int64_t images = 0;            ///< of the data set; 0 where it is not at hand
  double steps_per_epoch = 0;
  std::string note;  ///< why the data could not be counted
};

/// Builds the networks on the meta device, and opens the data if it is there.
Cost estimate_cost(const recipe::RunConfig& config);

/// Lines of "# name  value", as --dry-run prints them.
std::string to_text(const Cost& cost);

}  // namespace sdg::network
