#pragma once
#include "sdg/config/fields.h"
#include "sdg/flow/path.h"

namespace sdg::flow {
struct FlowOptions {
  double sigma_min = kSigmaMin;
  void visit(config::Fields& fields) {
    fields("sigma_min", &sigma_min,
           {.help = "Share of noise left at t = 1. 0 is the plain rectified flow; larger values blur the data the "
                    "network learns.",
            .unit = "standard deviations",
            .min = 0,
            .max = 1});
  }
};
}  // namespace sdg::flow
