// condition.source file: an index an image, or more than that, read from a file.
#include "conditions/sources.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/conditions/told.h"
#include "sdg/core/error.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::conditions {
namespace {

class FileSource : public ConditionSource {
 public:
  GivenConditions given(const ConditionContext& context) const override {
    const auto& file = context.config.condition.file;
    GivenConditions out;
    out.origin = pseudo_label_origin(file);
    checkpoint::check_made_for(out.origin.images, context.fingerprint, "condition.file: " + file, context.opened.path);
    auto told = read_told(file, context.dataset.size(), context.config.data.size, context.config.condition.told);
    SDG_CHECK_USAGE(!told.stored || !told.stored->maps.defined() || !context.config.data.flip,
                    "data.flip: images would be mirrored and the maps of ", file,
                    " not; set data.flip=false, or store mirrored images with maps of their own");
    out.key = told_key(told);
    out.stored = std::move(told.stored);
    out.ids = std::move(told.ids);
    out.classes = told.classes;
    if (!out.origin.images.known())
      context.note(cat("condition.file: ", file, " does not say which images it is for: only their number, ",
                       out.ids.size(0), ", was compared"));
    return out;
  }
  std::string origin(const ConditionContext& context) const override { return context.config.condition.file; }

  Tensor ids_of(const checkpoint::Trained& trained, const data::OpenedData&, const data::Dataset& dataset,
                const std::vector<int64_t>& indices, const at::Device&, const Progress&) const override {
    const auto& config = trained.info.config;
    const std::filesystem::path file = config.condition.file;
    const auto told = read_told(file, dataset.size(), config.data.size, config.condition.told);
    SDG_CHECK_USAGE(!told.stored || tensors::read_tensor_header(file).tensors.contains("ids"), file.string(),
                    ": holds no clusters of images (ids)");
    const auto& wanted = trained.info.conditions;
    SDG_CHECK(wanted.empty() || told_key(told) == wanted, file.string(), ": holds other conditions than those that ",
              trained.path, " was trained on");
    return read_indices(file, dataset.size()).index_select(0, at::tensor(indices));
  }
};

}  // namespace

std::unique_ptr<ConditionSource> file_source() {
  return std::make_unique<FileSource>();
}

}  // namespace sdg::conditions
