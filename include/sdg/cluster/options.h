#pragma once
#include <array>

#include "sdg/cluster/window_loss.h"
#include "sdg/config/fields.h"

namespace sdg::cluster {

/// Does an image have one cluster, or each of its patches?
enum class Level { kImage, kPatch };
constexpr auto names_of(Level) {
  return std::array{"image", "patch"};
}

/// From which noise the head learns the assignment: another than the teacher's, or the same.
enum class Views { kTwo, kOne };
constexpr auto names_of(Views) {
  return std::array{"two", "one"};
}

/// Which tokens an image's window applies to: its own, or, as the public code does, those at the same place of the
/// tiling.
enum class WindowTokens { kOwn, kTiled };
constexpr auto names_of(WindowTokens) {
  return std::array{"own", "tiled"};
}

/// What of the tokens [T, D] becomes a feature: all patches side by side, their mean, or the class token.
enum class Pooling { kFlat, kMean, kCls };
constexpr auto names_of(Pooling) {
  return std::array{"flat", "mean", "cls"};
}

/// How scores become assignments.
enum class Assign { kSinkhorn, kSoftmax };
constexpr auto names_of(Assign) {
  return std::array{"sinkhorn", "softmax"};
}

/// Which rows are balanced where there is one view.
enum class Balance { kWindow, kBatch };
constexpr auto names_of(Balance) {
  return std::array{"window", "batch"};
}

/// The clustering of a run; defaults are the paper's (docs/math.md, "Sinkhorn-Knopp" and on) except where the help says
/// otherwise.
struct ClusterOptions {
  int64_t clusters = 20;
  double epsilon = 0.05;
  int64_t iterations = 3;
  double temperature = 0.1;
  double window_begin = 0.8;
  double window_end = 0.9;
  double teacher_time = 0.85;
  double weight = 1.0;
  Level level = Level::kImage;
  Views views = Views::kTwo;
  bool ramp = false;
  WindowTokens window_tokens = WindowTokens::kOwn;
  Pooling pooling = Pooling::kFlat;
  int64_t depth = -1;
  int64_t hidden = 0;
  bool standardize = true;
  bool early_exit = true;
  double refresh = 1;
  double start = 0;
  double end = 1;
  Averaging averaging = Averaging::kBatch;
  Assign assign = Assign::kSinkhorn;
  Balance balance = Balance::kWindow;
  int64_t queue = -1;
  double backbone = 0;
  /// Does an image keep the cluster of an earlier look, so that these are state of the run, by number of the image?
  bool keeps_clusters() const { return refresh < 1 || end < 1; }
  void visit(config::Fields& fields);
};
}  // namespace sdg::cluster
