#include "sdg/network/cost.h"

#include <algorithm>
#include <array>

#include "sdg/config/names.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/data/dataset.h"
#include "sdg/model/catalog.h"
#include "sdg/network/network.h"
#include "sdg/recipe/source.h"

namespace sdg::network {
namespace {

// Values that autograd keeps for one token of one transformer block, in units of the width D: two normalised inputs, q
// k v and the attention's output, the projection's input, and the MLP's hidden layer before and after its activation
// (4D each).
constexpr int64_t kValuesPerTokenAndBlock = 16;
constexpr int64_t kFloat = sizeof(float), kHalf = 2;

constexpr std::array kCards{Card{"a100", 19.5, 156, 312}, Card{"h100", 67, 494.7, 989.4},
                            Card{"h200", 67, 494.7, 989.4}};

// Linear, BatchNorm, Linear and the prototypes, of the sizes that build_network gives them.
int64_t head_parameters(const recipe::RunConfig& config, const model::VelocityModel& model) {
  if (!recipe::facts_of(config).online) return 0;
  const int64_t dim = model.dim(), features = feature_dim(config, model);
  const int64_t hidden = config.cluster.hidden > 0 ? config.cluster.hidden : dim / 2;
  return features * hidden + hidden + 2 * hidden + hidden * dim + dim + dim * config.cluster.clusters;
}

int64_t activation_bytes(const recipe::RunConfig& config, const model::VelocityModel& model) {
  int64_t values = 0, largest = 0;  // that the blocks put out for one image
  for (int64_t depth = 0; depth < model.blocks(); ++depth) {
    const auto block = (model.feature_tokens(depth) + model.extra_tokens()) * model.feature_dim(depth);
    values += block;
    largest = std::max(largest, block);
  }
  const auto inside = kValuesPerTokenAndBlock * (config.train.precision == Precision::kBf16 ? kHalf : kFloat);
  // With checkpointing every block keeps its input, and the one that is computed again everything.
  return config.model.activation_checkpointing ? values * kFloat + largest * inside : values * inside;
}

// FLOP of a step over the whole batch, on average over the run.
double step_flop(const recipe::RunConfig& config, const model::VelocityModel& model, int64_t head) {
  const double images = static_cast<double>(config.train.batch), pass = 2 * static_cast<double>(model.macs());
  constexpr double kBackward = 2;  // in forward passes
  double flop = images * pass * (1 + kBackward + (config.model.activation_checkpointing ? 1 : 0));
  if (config.guided.learn == recipe::LearnGuidance::kGft) flop += images * pass;
  if (config.guided.learn == recipe::LearnGuidance::kMg) flop += 2 * images * pass;
  if (config.align.with_itself() && config.align.weight > 0)
    flop += images * pass * static_cast<double>(alignment_target_depth(config, model) + 1) /
            static_cast<double>(model.blocks());
  if (!recipe::facts_of(config).online) return flop;
  const auto& cluster = config.cluster;
  const bool two = cluster.views == cluster::Views::kTwo;
  const double depth = static_cast<double>(feature_depth(config, model) + 1) / static_cast<double>(model.blocks());
  const double look = pass * (cluster.early_exit ? depth : 1);
  const double own_look = !two ? 0 : cluster.backbone > 0 ? look * (1 + kBackward) : look;
  const double rows = patch_level(config) ? static_cast<double>(model.patch_tokens()) : 1;
  const double head_pass = 2 * static_cast<double>(head) * rows;
  const double share = cluster.end - cluster.start;  // of the steps
  flop += share * images * cluster.refresh * (look + own_look + head_pass);
  flop += share * images * (two ? cluster.refresh : 1) * head_pass * (1 + kBackward);
  return flop;
}

double peak(const Card& card, Precision precision) {
  return precision == Precision::kBf16 ? card.bf16 : precision == Precision::kTf32 ? card.tf32 : card.float32;
}

void forecast(Cost& cost, const recipe::RunConfig& config, const Machine& machine) {
  cost.tflops = machine.tflops;
  if (cost.tflops <= 0 && !machine.card.empty()) {
    const auto& card = card_of(machine.card);
    cost.tflops = kReached * peak(card, config.train.precision);
    cost.card = cat(static_cast<int>(100 * kReached), " % of the peak of ", card.name, " in ",
                    config::name(config.train.precision));
  }
  if (cost.tflops <= 0) return;
  constexpr double kDay = 86400, kTera = 1e12;
  cost.days = cost.step_flop * static_cast<double>(config.train.steps) /
              (static_cast<double>(cost.ranks) * cost.tflops * kTera) / kDay;
}

// Of every number a rank steps two in memory, and of those of the network two on disk in each snapshot.
void count_averages(Cost& cost, const recipe::RunConfig& config, int64_t head) {
  const auto& average = config.average;
  if (!average.track) return;
  const bool sharded = config.train.shard_state && cost.ranks > 1;
  cost.tracked_bytes = 2 * kFloat * (sharded ? (cost.parameters + cost.ranks - 1) / cost.ranks : cost.parameters);
  auto last = config.train.steps / average.every * average.every;  // snapshot, at which earlier ones were thinned
  while (last > 0 && last % average.spacing(last) != 0) last -= average.every;
  cost.snapshot_spacing = average.spacing(last);
  cost.snapshots = last / cost.snapshot_spacing;
  const auto number = average.stored == recipe::Stored::kFloat16 ? kHalf : kFloat;
  cost.snapshot_bytes = cost.snapshots * 2 * number * (cost.parameters - head);
}

}  // namespace

const Card& card_of(const std::string& name) {
  std::string known;
  for (const auto& card : kCards) {
    if (name == card.name) return card;
    known += cat(known.empty() ? "" : ", ", card.name);
  }
  throw UsageError(cat("--card: expected one of ", known, ", got ", name, "; for others give --tflops"));
}

Cost estimate_cost(const recipe::RunConfig& config, const Machine& machine, const FileConditions& given) {
  Cost cost;
  int64_t classes = given.classes > 0 ? given.classes : config.cluster.clusters;
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
  const auto network = build_network(config, classes, at::kMeta, given.stored);
  const auto& model = *network.model;
  const auto& train = config.train;
  const auto head = head_parameters(config, model);
  cost.parameters = model::parameter_count(model) + head;
  cost.macs = model.macs();
  const bool cpu = machine.gpus == 0 && parse_device(config.device).is_cpu();
  cost.ranks = std::max<int64_t>(1, machine.gpus);
  const auto whole = cost.parameters * kFloat, slice = (whole + cost.ranks - 1) / cost.ranks;
  cost.state_bytes = cost.unsharded_bytes = 5 * whole;
  if (train.shard_state && cost.ranks > 1) {
    cost.average_sharded = !recipe::looks_through_average(config);
    cost.state_bytes = 2 * whole + (cost.average_sharded ? slice : whole) + 2 * slice;
  }
  count_averages(cost, config, head);
  const auto own = (train.batch + cost.ranks - 1) / cost.ranks;
  auto shard = cpu ? std::min(own, train.shard) : own;
  if (train.micro_batch > 0) shard = std::min(shard, train.micro_batch);
  const auto shards = (own + shard - 1) / shard;
  const auto under_way = cpu ? std::min<int64_t>(shards, worker_pool().threads()) : 1;
  cost.at_once = std::min(own, shard * under_way);
  cost.shard_bytes = whole * (under_way + (head > 0 && config.cluster.backbone > 0 ? 1 : 0));
  if (train.precision == Precision::kBf16) cost.cast_bytes = (cost.parameters - head) * kHalf;
  cost.activation_bytes = cost.at_once * activation_bytes(config, model);
  if (head > 0 && recipe::keeps_clusters(config))
    cost.kept_bytes =
        cost.images * (patch_level(config) ? model.patch_tokens() : 1) * static_cast<int64_t>(sizeof(int));
  if (recipe::tells_embeddings(config)) cost.kept_bytes += cost.images * model.dim() * kHalf;
  cost.step_flop = step_flop(config, model, head);
  forecast(cost, config, machine);
  return cost;
}

}  // namespace sdg::network
