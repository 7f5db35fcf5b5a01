#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/progress.h"
#include "sdg/evaluate/gather.h"
#include "sdg/metrics/gaussian.h"
#include "sdg/vision/feature_extractor.h"

/// What `eval-fid` and `sweep` share: in whose features a distance is taken, and to what.
namespace sdg::cli {

struct ReferenceArguments {
  std::string path, extractor, weights;
  int64_t count = 0, size = 0;
  Precision precision = Precision::kFloat32;  ///< of the extractor
};

/// Declares --extractor-precision.
void declare_extractor_precision(CLI::App& app, Precision& precision);

/// Declares --extractor, --extractor-weights, --extractor-precision, --reference, --reference-count and --size.
void declare_reference(CLI::App& app, ReferenceArguments& arguments);

/// The extractor that the arguments name, else the run's (null: there is no run, and the digits' network is taken,
/// which is said). The run's weights count for the run's extractor only.
std::unique_ptr<vision::FeatureExtractor> extractor_of(const ReferenceArguments& arguments,
                                                       const recipe::EvalOptions* run, const at::Device& device);

/// What a distance is taken to.
struct Reference {
  metrics::Gaussian statistics;
  std::string text;     ///< as results name it
  bool stored = false;  ///< read from a file of statistics
};

/// Of the path that the arguments name, else of the run's eval.reference, else of the run's training data, seen as the
/// model sees them. `run` may be null where a path is named. Shows its progress. Over ranks rank 0's, nothing
/// elsewhere.
Reference reference_of(const ReferenceArguments& arguments, const checkpoint::CheckpointInfo* run,
                       vision::FeatureExtractor& extractor, Reducer& ranks = Reducer::local());

/// The reference as metrics other than the Fréchet distance take it; as reference_of otherwise.
evaluate::Side reference_side(const ReferenceArguments& arguments, const checkpoint::CheckpointInfo* run,
                              vision::FeatureExtractor& extractor, const std::vector<evaluate::Metric>& metrics,
                              int64_t keep, Reducer& ranks = Reducer::local());

/// Images of one size against images of another: refused where one side are stored statistics, which were made for
/// their size, else warned of. `what` names the measured images.
void check_sizes(const metrics::Gaussian& measured, const std::string& what, bool stored, const Reference& reference);

}  // namespace sdg::cli
