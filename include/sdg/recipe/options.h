#pragma once
#include <cstdint>
#include <string>

#include "sdg/config/fields.h"

namespace sdg::recipe {

/// How long, how fast and how the network's weights move.
struct TrainOptions {
  int64_t steps = 2000;
  int64_t batch = 128;
  double lr = 2e-3;
  std::string schedule = "cosine";
  int64_t warmup = 100;
  double beta1 = 0.9, beta2 = 0.99, eps = 1e-8, weight_decay = 0;
  double clip = 1.0;
  double ema = 0.995;
  std::string teacher = "average";
  int64_t shard = 32;
  int64_t log_every = 20, picture_every = 500, save_every = 500;
  int64_t keep = 2;
  void visit(config::Fields& fields);
};

/// Where the condition of classifier-free guidance comes from.
struct ConditionOptions {
  std::string source = "online";
  double drop = 0.15;
  double change = 0.3;
  double stable = 0;
  double recluster = 0.1;
  double token_scale = 0;
  std::string token = "scaled";
  std::string drop_per = "image";
  std::string run, file;
  std::string null_token = "shared";
  void visit(config::Fields& fields);
};

/// How samples of a run are measured.
struct EvalOptions {
  std::string extractor = "digits";
  std::string weights;
  int64_t count = 1500;
  std::string reference;
  int64_t cluster_images = 5000;
  void visit(config::Fields& fields);
};

}  // namespace sdg::recipe
