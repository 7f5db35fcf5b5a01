#pragma once
#include <string>

#include "sdg/config/fields.h"

namespace sdg::cluster {
/// The clustering of a run; defaults are the paper's (method.md 2.6, 2.7) except where the help says otherwise.
struct ClusterOptions {
  int64_t clusters = 20;
  double epsilon = 0.05;
  int64_t iterations = 3;
  double temperature = 0.1;
  double window_begin = 0.8;
  double window_end = 0.9;
  double teacher_time = 0.85;
  double weight = 1.0;
  std::string level = "image";
  std::string views = "two";
  bool ramp = false;
  std::string window_tokens = "own";
  std::string pooling = "flat";
  int64_t depth = -1;
  int64_t hidden = 0;
  bool standardize = true;
  bool early_exit = true;
  double start = 0;
  std::string averaging = "batch";
  std::string assign = "sinkhorn";
  std::string balance = "window";
  int64_t queue = -1;
  double backbone = 0;
  void visit(config::Fields& fields);
};
}  // namespace sdg::cluster
