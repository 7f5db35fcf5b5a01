// condition.source online: clusters that the head finds while the network trains.
#include "conditions/sources.h"
#include "sdg/network/assign.h"

namespace sdg::conditions {
namespace {

class OnlineSource : public ConditionSource {
 public:
  Tensor ids_of(const checkpoint::Trained& trained, const data::OpenedData&, const data::Dataset& dataset,
                const std::vector<int64_t>& indices, const at::Device& device,
                const Progress& progress) const override {
    return network::assign_clusters(trained.info.config, trained.network, dataset, indices, device, progress);
  }
};

}  // namespace

std::unique_ptr<ConditionSource> online_source() {
  return std::make_unique<OnlineSource>();
}

}  // namespace sdg::conditions
