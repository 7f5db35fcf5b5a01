#pragma once
#include <string>

#include "sdg/config/fields.h"

namespace sdg::sample {
struct SampleOptions {
  int64_t steps = 25;
  double guidance = 1.0;
  double guidance_begin = 0, guidance_end = 1;
  std::string solver = "euler";
  std::string grid = "uniform";
  int64_t count = 64;
  int64_t batch = 64;
  int64_t seed = 0;
  void visit(config::Fields& fields);
};
}  // namespace sdg::sample
