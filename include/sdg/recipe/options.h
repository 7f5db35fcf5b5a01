#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "sdg/config/fields.h"
#include "sdg/core/graph.h"
#include "sdg/core/precision.h"
#include "sdg/flow/loss_space.h"

namespace sdg::recipe {

/// How the learning rate moves after its warm-up.
enum class Schedule {
  kConstant,
  kCosine,
  kPaper,  ///< the public code's: linear warm-up that begins at 0, then constant
};
constexpr auto names_of(Schedule) {
  return std::array{"constant", "cosine", "paper"};
}

/// The network that assigns clusters and samples.
enum class Teacher {
  kAverage,  ///< the average of the trained network's weights, from the first step on
  kChange,   ///< as it began until conditions begin, then that average, as in the public code
};
constexpr auto names_of(Teacher) {
  return std::array{"average", "change"};
}

/// Where the condition of classifier-free guidance comes from.
enum class Source { kNone, kLabel, kOnline, kRecluster, kKmeans, kFile };
constexpr auto names_of(Source) {
  return std::array{"none", "label", "online", "recluster", "kmeans", "file"};
}

/// What of a file of clusters the network is told about an image (Self-Guided Diffusion Models, arXiv 2210.06462).
enum class Told {
  kStored,    ///< all that the file holds of it, as it stands there
  kCluster,   ///< the index of its cluster
  kCentroid,  ///< that cluster's centroid
  kFeat,      ///< its own feature
  kKnnFeat,   ///< the feature of one of its nearest neighbours, another draw each time
};
constexpr auto names_of(Told) {
  return std::array{"stored", "cluster", "centroid", "feat", "knn_feat"};
}

/// What drops a condition in training: each image's draw, or each patch's.
enum class DropPer { kImage, kPatch };
constexpr auto names_of(DropPer) {
  return std::array{"image", "patch"};
}

/// What becomes the token of an image's cluster, and how long.
enum class Token {
  kScaled,     ///< its prototype, of the length token_scale
  kRaw,        ///< its prototype as it is
  kCentroid,   ///< the mean embedding of its images, of the length token_scale
  kEmbedding,  ///< the image's own embedding, of the length token_scale
};
constexpr auto names_of(Token) {
  return std::array{"scaled", "raw", "centroid", "embedding"};
}

/// Is the token of unconditional training the null token of guidance too?
enum class NullToken { kShared, kSeparate };
constexpr auto names_of(NullToken) {
  return std::array{"shared", "separate"};
}

/// Which parameters weight decay leaves alone.
enum class NoDecay {
  kNone,
  kNormsBiases,  ///< those of one dimension: scales and shifts of norms, biases
};
constexpr auto names_of(NoDecay) {
  return std::array{"none", "norms_biases"};
}

/// How often each place of the path is trained on.
enum class TimeDraw { kUniform, kLogitNormal };
constexpr auto names_of(TimeDraw) {
  return std::array{"uniform", "logit_normal"};
}

/// How long, how fast and how the network's weights move.
struct TrainOptions {
  int64_t steps = 2000;
  int64_t batch = 128;
  double lr = 2e-3;
  Schedule schedule = Schedule::kCosine;
  int64_t warmup = 100;
  double beta1 = 0.9, beta2 = 0.99, eps = 1e-8, weight_decay = 0;
  NoDecay no_decay = NoDecay::kNone;
  double head_lr = 1;
  int64_t lr_width = 0;
  double clip = 1.0;
  double ema = 0.995;
  Teacher teacher = Teacher::kAverage;
  double dispersive = 0;
  flow::LossSpace loss_on = flow::LossSpace::kPredicted;
  double loss_floor = flow::kLossFloor;
  double snr_cap = flow::kSnrCap;
  TimeDraw time = TimeDraw::kUniform;
  double time_mean = 0, time_width = 1, time_shift = 1;
  Precision precision = Precision::kFloat32;
  int64_t shard = 32, micro_batch = 0;
  bool shard_state = false;
  bool deterministic = false;
  Graph graph = Graph::kNone;
  int64_t log_every = 20, picture_every = 500, save_every = 500;
  int64_t keep = 2;
  void visit(config::Fields& fields);
};

/// Where the condition of classifier-free guidance comes from.
struct ConditionOptions {
  Source source = Source::kOnline;
  double drop = 0.15;
  double change = 0.3;
  double stable = 0;
  double recluster = 0.1;
  double token_scale = 0;
  Token token = Token::kScaled;
  DropPer drop_per = DropPer::kImage;
  std::string run, file;
  Told told = Told::kStored;
  NullToken null_token = NullToken::kShared;
  void visit(config::Fields& fields);
};

/// With which features those of the trained network are aligned: an outside network's (REPA, arXiv 2410.06940), or
/// later ones of its own average (SRA, arXiv 2505.02831).
struct AlignOptions {
  std::string extractor = kNoExtractor;
  std::string weights;
  double weight = 0.5;
  int64_t depth = -1;
  int64_t hidden = 2048;
  int64_t target_depth = -1;
  double shift = 0.2;
  static constexpr const char *kNoExtractor = "none", *kSelf = "self";
  bool with_itself() const { return extractor == kSelf; }
  bool with_another() const { return extractor != kNoExtractor && !with_itself(); }
  void visit(config::Fields& fields);
};

/// How samples of a run are measured.
struct EvalOptions {
  std::string extractor = "digits";
  std::string weights;
  int64_t every = 0, every_count = 0;
  int64_t count = 1500;
  std::string reference;
  int64_t cluster_images = 5000;
  void visit(config::Fields& fields);
};

}  // namespace sdg::recipe
