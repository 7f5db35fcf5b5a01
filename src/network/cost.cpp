#include "sdg/network/cost.h"

#include <algorithm>
#include <cstdio>

#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/data/dataset.h"
#include "sdg/model/catalog.h"
#include "sdg/network/network.h"
#include "sdg/recipe/source.h"

namespace sdg::network {
namespace {

// Floats that autograd keeps for one token of one transformer block, in units of the width D: two normalised inputs, q
// k v and the attention's output, the projection's input, and the MLP's hidden layer before and after its activation
// (4D each).
constexpr int64_t kFloatsPerTokenAndBlock = 16;

// Linear, BatchNorm, Linear and the prototypes, of the sizes that build_network gives them.
int64_t head_parameters(const recipe::RunConfig& config, const model::VelocityModel& model) {
  if (!recipe::facts_of(config).online) return 0;
  const int64_t dim = model.dim(), features = feature_dim(config, model);
  const int64_t hidden = config.cluster.hidden > 0 ? config.cluster.hidden : dim / 2;
  return features * hidden + hidden + 2 * hidden + hidden * dim + dim + dim * config.cluster.clusters;
}

std::string gibibytes(int64_t bytes) {
  char text[32];
  const double mebi = static_cast<double>(bytes) / (1 << 20);
  if (mebi < 1024) {
    std::snprintf(text, sizeof text, "%.0f MiB", std::max(1.0, mebi));
  } else {
    std::snprintf(text, sizeof text, "%.1f GiB", mebi / 1024);
  }
  return text;
}

std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

}  // namespace

Cost estimate_cost(const recipe::RunConfig& config) {
  Cost cost;
  int64_t classes = config.cluster.clusters;
  try {
    const auto opened = data::open_data(config.data, config.config_dir);
    if (opened.latents) data::Dataset(opened, config.data);  // of another shape they could not be trained on
    cost.images = opened.size();
    cost.steps_per_epoch = static_cast<double>(cost.images) / static_cast<double>(config.train.batch);
    if (recipe::facts_of(config).labels && opened.labels)
      classes = static_cast<int64_t>(opened.labels->class_names().size());
  } catch (const Error& error) {
    cost.note = error.what();
  }
  const auto network = build_network(config, classes, at::kMeta);
  cost.parameters = model::parameter_count(*network.model) + head_parameters(config, *network.model);
  cost.macs = network.model->macs();
  cost.state_bytes = cost.parameters * 5 * static_cast<int64_t>(sizeof(float));
  const bool cpu = parse_device(config.device).is_cpu();
  const int64_t at_once =
      cpu ? std::min<int64_t>(config.train.batch, config.train.shard * worker_pool().threads()) : config.train.batch;
  int64_t values = 0;  // that all blocks put out for one image
  for (int64_t depth = 0; depth < network.model->blocks(); ++depth)
    values +=
        (network.model->feature_tokens(depth) + network.model->extra_tokens()) * network.model->feature_dim(depth);
  cost.activation_bytes = at_once * values * kFloatsPerTokenAndBlock * static_cast<int64_t>(sizeof(float));
  return cost;
}

std::string to_text(const Cost& cost) {
  std::string out =
      cat("# parameters       ", grouped(cost.parameters), "\n# multiply-adds    ", grouped(cost.macs),
          " a forward pass of one image\n# memory           ", gibibytes(cost.state_bytes + cost.activation_bytes),
          ": ", gibibytes(cost.state_bytes), " of weights, gradient, average and optimizer, about ",
          gibibytes(cost.activation_bytes), " of activations\n");
  if (cost.images > 0) {
    char text[64];
    std::snprintf(text, sizeof text, "%.2f", cost.steps_per_epoch);
    out += cat("# steps per epoch  ", text, " (", grouped(cost.images), " images)\n");
  } else {
    out += cat("# steps per epoch  unknown: ", cost.note, "\n");
  }
  return out;
}

}  // namespace sdg::network
