// condition.source label: the class of each image.
#include "conditions/sources.h"
#include "sdg/core/error.h"

namespace sdg::conditions {
namespace {

class LabelSource : public ConditionSource {
 public:
  GivenConditions given(const ConditionContext& context) const override {
    SDG_CHECK_USAGE(context.opened.labels, "condition.source: label needs a data set with classes; ",
                    context.opened.description, " has none");
    GivenConditions out;
    out.ids = context.opened.labels->labels();
    out.class_names = context.opened.labels->class_names();
    out.classes = static_cast<int64_t>(out.class_names.size());
    return out;
  }

  Tensor ids_of(const checkpoint::Trained&, const data::OpenedData& opened, const data::Dataset&,
                const std::vector<int64_t>& indices, const at::Device&, const Progress&) const override {
    SDG_CHECK_USAGE(opened.labels, opened.description, ": has no labels, though the run was trained on labels");
    return opened.labels->labels().index_select(0, at::tensor(indices));
  }
};

}  // namespace

std::unique_ptr<ConditionSource> label_source() {
  return std::make_unique<LabelSource>();
}

}  // namespace sdg::conditions
