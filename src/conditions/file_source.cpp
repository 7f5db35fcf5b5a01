// condition.source file: an index an image, or more than that, read from a file.
#include "conditions/sources.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/conditions/stored_file.h"
#include "sdg/core/error.h"

namespace sdg::conditions {
namespace {

class FileSource : public ConditionSource {
 public:
  GivenConditions given(const ConditionContext& context) const override {
    const auto& file = context.config.condition.file;
    GivenConditions out;
    out.origin = pseudo_label_origin(file);
    checkpoint::check_made_for(out.origin.images, context.fingerprint, "condition.file: " + file, context.opened.path);
    out.stored = read_stored(file, context.dataset.size(), context.config.data.size);
    out.ids = out.stored ? at::arange(out.stored->rows()) : read_indices(file, context.dataset.size());
    out.classes = out.stored ? out.stored->classes : out.ids.max().item<int64_t>() + 1;
    if (!out.origin.images.known())
      context.note(cat("condition.file: ", file, " does not say which images it is for: only their number, ",
                       out.ids.size(0), ", was compared"));
    return out;
  }
  std::string origin(const ConditionContext& context) const override { return context.config.condition.file; }

  Tensor ids_of(const checkpoint::Trained& trained, const data::OpenedData&, const data::Dataset& dataset,
                const std::vector<int64_t>& indices, const at::Device&, const Progress&) const override {
    return stored_ids(trained, trained.info.config.condition.file, dataset.size(), indices);
  }
};

}  // namespace

std::unique_ptr<ConditionSource> file_source() {
  return std::make_unique<FileSource>();
}

}  // namespace sdg::conditions
