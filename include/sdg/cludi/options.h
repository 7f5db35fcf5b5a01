#pragma once
#include <array>

#include "sdg/config/fields.h"
#include "sdg/core/precision.h"

/// CLUDI (Uziel, Chelly, Freifeld & Pakman, "Clustering via self-supervised diffusion", arXiv 2507.04283): clusters of
/// given features, found by a diffusion model over embeddings of cluster assignments. Paper and public code differ;
/// every choice is an option, and each of the two is a preset.
namespace sdg::cludi {

/// abar of the noise levels, before any rescaling.
enum class Schedule { kSqrt, kCosine, kSigmoid, kLinear };
constexpr auto names_of(Schedule) {
  return std::array{"sqrt", "cosine", "sigmoid", "linear"};
}

/// What the network answers: the embedding itself, or the velocity sqrt(abar) noise - sqrt(1 - abar) embedding.
enum class Predicts { kData, kVelocity };
constexpr auto names_of(Predicts) {
  return std::array{"data", "velocity"};
}

/// Whose weights sample the targets, or the answer.
enum class Weights { kStudent, kAverage };
constexpr auto names_of(Weights) {
  return std::array{"student", "average"};
}

/// Whose copy's weight multiplies the student's logarithms in the loss of a pair of copies.
enum class PairWeight { kTeacher, kStudent };
constexpr auto names_of(PairWeight) {
  return std::array{"teacher", "student"};
}

/// How the losses of three heads are added: L <- 2 L + next, as the public code does, or L + next.
enum class HeadSum { kDoubled, kPlain };
constexpr auto names_of(HeadSum) {
  return std::array{"doubled", "plain"};
}

/// Which centres are trained.
enum class Centers { kFrozen, kFurther, kAll };
constexpr auto names_of(Centers) {
  return std::array{"frozen", "further", "all"};
}

/// Whose gradient is brought down to the limit: each parameter's, or that of all together.
enum class Clipping { kEach, kAll };
constexpr auto names_of(Clipping) {
  return std::array{"each", "all"};
}

/// What of the draws is averaged.
enum class Mean { kLogits, kProbabilities };
constexpr auto names_of(Mean) {
  return std::array{"logits", "probabilities"};
}

/// The two readings of the method.
enum class Preset { kAsCode, kAsDescribed };
constexpr auto names_of(Preset) {
  return std::array{"as_code", "as_described"};
}

struct NoiseOptions {
  int64_t levels = 1000;
  Schedule schedule = Schedule::kSqrt;
  double rescale = 1;
  double factor = 49;
  double weight_cap = 5;
  bool divide_weight = true;
  void visit(config::Fields& fields);
};

struct ModelOptions {
  int64_t embedding = 64;
  double dropout = 0.15;
  bool nonlinear = false;
  bool multiple_k = false;
  Centers centers = Centers::kFrozen;
  Predicts predicts = Predicts::kData;
  void visit(config::Fields& fields);
};

/// How assignments are drawn, in training and in the answer.
struct DrawOptions {
  double clamp = 1;
  double eta = 1;
  double temperature = 0.1;
  void visit(config::Fields& fields);
};

struct TrainOptions {
  int64_t epochs = 200, batch = 256;
  bool drop_last = false;
  int64_t copies = 8, steps = 25;
  Weights teacher = Weights::kStudent;
  bool teacher_gradient = true;
  bool half_targets = true;
  double average = 0.999;
  int64_t average_updates = 2;
  double noise_low = 0.2, noise_high = 1, drop_low = 0.05, drop_high = 0.1;
  double self_condition = 0.5;
  double diffusion = 1, assignment = 50;
  double row_temperature = 0.1, column_temperature = 0.05;
  PairWeight pair_weight = PairWeight::kTeacher;
  HeadSum head_sum = HeadSum::kDoubled;
  double clip = 4;
  Clipping clipping = Clipping::kEach;
  double lr = 1e-4, lr_end = 1e-6, warmup = 1, beta1 = 0.9, beta2 = 0.98, weight_decay = 0.01, centers_lr = 0.1;
  void visit(config::Fields& fields);
};

struct AnswerOptions {
  int64_t steps = 50, draws = 64, early_stop = 0;
  Mean mean = Mean::kLogits;
  Weights weights = Weights::kStudent;
  void visit(config::Fields& fields);
};

/// Defaults are those of the public code (docs/math.md, "CLUDI").
struct CludiOptions {
  Precision precision = Precision::kFloat32;
  NoiseOptions noise;
  ModelOptions model;
  DrawOptions draw;
  TrainOptions train;
  AnswerOptions answer;
  void visit(config::Fields& fields);
};

/// The options of a preset. As described: a cosine schedule rescaled by 49 with unit noise, the average as teacher
/// without gradient, each pair weighted by the student's copy, full precision, the average answers.
CludiOptions preset(Preset which);

/// Throws UsageError for options that contradict each other.
void check(const CludiOptions& options);

}  // namespace sdg::cludi
