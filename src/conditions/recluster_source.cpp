// condition.source recluster: k-means of the averaged network's features, again and again; the checkpoint holds the
// last.
#include "conditions/sources.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/core/error.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::conditions {
namespace {

class ReclusterSource : public ConditionSource {
 public:
  GivenConditions given(const ConditionContext& context) const override {
    GivenConditions out;
    out.classes = context.config.cluster.clusters;
    return out;
  }

  Tensor ids_of(const checkpoint::Trained& trained, const data::OpenedData&, const data::Dataset& dataset,
                const std::vector<int64_t>& indices, const at::Device&, const Progress&) const override {
    SDG_CHECK_USAGE(tensors::read_tensor_header(trained.path).tensors.count("ids"), trained.path,
                    ": nothing is clustered before condition.change, which this checkpoint has not reached");
    return read_indices(trained.path, dataset.size()).index_select(0, at::tensor(indices));
  }
};

}  // namespace

std::unique_ptr<ConditionSource> recluster_source() {
  return std::make_unique<ReclusterSource>();
}

}  // namespace sdg::conditions
