#pragma once
#include <vector>

#include "sdg/core/reducer.h"
#include "sdg/learn/objective.h"
#include "sdg/learn/ordered_sum.h"
#include "sdg/network/flat_parameters.h"

namespace sdg::learn {

/// The squared error of the network's prediction, mean over values and images (arXiv 2210.02747, eq. 9 on the straight
/// path; weighted by train.loss_on, see flow/loss_space.h).
class FlowObjective : public Objective {
 public:
  /// `flat` holds the parameters, of which `model_parameters` are the network's own and come first. All must outlive
  /// this.
  FlowObjective(const network::FlatParameters& flat, const std::vector<Tensor>& model_parameters,
                Reducer& reducer = Reducer::local())
      : flat_(flat), model_parameters_(model_parameters), reducer_(reducer) {}

  std::string name() const override { return "flow"; }
  void begin(int64_t shards) override;
  void after_pass(Shard& shard) override;
  Contribution join(StepResult& result) override;

 private:
  const network::FlatParameters& flat_;
  const std::vector<Tensor>& model_parameters_;
  Reducer& reducer_;
  OrderedSum sum_;                 // over the shards, their losses already divided by the batch
  std::vector<char> finite_data_;  // of each shard: was what is learned from finite
};

}  // namespace sdg::learn
