#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "sdg/cluster/options.h"
#include "sdg/data/options.h"
#include "sdg/flow/options.h"
#include "sdg/model/options.h"
#include "sdg/recipe/average_options.h"
#include "sdg/recipe/guided_options.h"
#include "sdg/recipe/options.h"
#include "sdg/sample/options.h"

namespace sdg::recipe {

/// Every option of a run: the sum of the folders' options, under the names that YAML and `--set` use.
struct RunConfig {
  int64_t seed = 0;
  std::string device = "auto";
  data::DataOptions data;
  model::ModelOptions model;
  flow::FlowOptions flow;
  ConditionOptions condition;
  cluster::ClusterOptions cluster;
  TrainOptions train;
  AlignOptions align;
  GuidedOptions guided;
  AverageOptions average;
  sample::SampleOptions sample;
  EvalOptions eval;
  std::string config_dir;  ///< folder of the file it was read from; data paths are tried there first (not an option)

  void visit(config::Fields& fields);
};

/// The names in "a.yaml,b.yaml"; a file whose own name holds a comma is one.
std::vector<std::string> config_names(const std::string& list);

/// Reads a config file (a path, or the name of a shipped one; several with commas between, each laid over the ones
/// before), then applies `overrides` ("a.b=c") in order, then checks
/// what no single option can know. Throws UsageError.
RunConfig load_config(const std::string& name, const std::vector<std::string>& overrides);

/// The same from the text that a checkpoint carries; `where` names it in messages.
RunConfig parse_config(const std::string& text, const std::string& where,
                       const std::vector<std::string>& overrides = {});

/// Rules between options (K against the batch, a run for source kmeans, …). Throws UsageError.
void check_config(const RunConfig& config);

/// Stream key of the run's seed.
inline uint64_t seed_of(const RunConfig& config) {
  return static_cast<uint64_t>(config.seed);
}

}  // namespace sdg::recipe
