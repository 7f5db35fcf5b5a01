#pragma once
#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/conditions/offline_kmeans.h"
#include "sdg/core/reducer.h"

/// Where the commands that cluster features get them: a file, an outside network, or the network of a run looked into.
namespace sdg::cli {

struct FeatureArguments {
  std::optional<cluster::Pooling> pooling;
  std::string run, checkpoint, features, data, extractor, extractor_weights, device = "auto";
  checkpoint::Weights weights = checkpoint::Weights::kEma;
  std::optional<int64_t> depth;
  std::optional<double> time;
  int64_t size = 0;  ///< with extractor: squares of this side; 0: images as stored
};

/// Declares them; `what` is what the command does with a run ("cluster features of").
void declare_features(CLI::App& app, FeatureArguments& arguments, const std::string& what);
/// Refuses the options that say how to look at images where features are given.
void check_features_alone(const CLI::App& app, const FeatureArguments& arguments);

struct FeatureInput {
  Tensor values;  ///< [N, F]
  conditions::PseudoLabelOrigin origin;
  int64_t clusters = 10;  ///< of the run; where the command line does not say
  Tensor labels;          ///< for evaluation only; undefined where there are none
};

FeatureInput read_input(const FeatureArguments& arguments, Reducer& ranks);

}  // namespace sdg::cli
