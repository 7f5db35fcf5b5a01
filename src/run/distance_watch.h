#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "checkpoint/run_figures.h"
#include "run/supply.h"
#include "sdg/evaluate/gather.h"
#include "sdg/generate/generate.h"
#include "sdg/learn/learner.h"
#include "sdg/run/trainer.h"

namespace sdg::metrics {
class FrechetTo;
}

namespace sdg::run {

/// Measures a run while it trains (eval.every): images drawn by the average as sample.* says, conditions from the
/// prior, in the features of eval.extractor, against eval.reference or else the training data. That is what sdg
/// eval-fid gives for the checkpoint of that step. Nothing of it flows back: draws are keyed by sample.seed, and no
/// state of training moves. Over ranks all draw, to the same bits, and rank 0 measures.
class DistanceWatch {
 public:
  /// Off where eval.every is 0. Rank 0 makes the extractor and looks at the reference. Throws what that throws, on all
  /// ranks.
  DistanceWatch(const recipe::RunConfig& config, const Supply& supply, const at::Device& device,
                const std::function<void(const std::string&)>& on_event, Reducer& reducer);
  ~DistanceWatch();
  DistanceWatch(const DistanceWatch&) = delete;
  DistanceWatch& operator=(const DistanceWatch&) = delete;

  /// Is it to be measured at that step: every eval.every steps, and at the end?
  bool due(int64_t step) const;
  /// "FD-digits"; of rank 0.
  const std::string& name() const { return name_; }
  /// Id of the protocol: distances of another one do not compare; of rank 0.
  const std::string& protocol() const { return protocol_; }
  /// The distance of now, which all ranks must ask for; the first one's figures remember the lowest. Nothing, with a
  /// warning, where an image was not finite, and on the other ranks.
  std::optional<Measured> measure(learn::Learner& learner, checkpoint::RunFigures& figures) const;

 private:
  void look_at_reference(const Supply& supply, const std::function<void(const std::string&)>& on_event);
  double distance(const checkpoint::Trained& trained, const generate::Request& request) const;

  recipe::RunConfig config_;
  at::Device device_;
  Reducer& reducer_;
  generate::Request request_;
  std::string name_, protocol_;
  std::unique_ptr<vision::FeatureExtractor> extractor_;  // of rank 0, as what follows
  std::unique_ptr<const metrics::FrechetTo> to_reference_;
};

/// "step 500: FD-digits 3.1029, the lowest so far"
std::string to_text(const Measured& measured, const checkpoint::RunFigures& figures);

}  // namespace sdg::run
