// ADM U-Nets: their tensors tell width, levels and classes, and nothing of attention heads or the images' side; the
// published presets tell those.
#include <algorithm>
#include <cctype>

#include "model/recognise_impl.h"
#include "sdg/core/error.h"
#include "sdg/model/catalog.h"

namespace sdg::model {
namespace {

// "adm-256" -> 256; of the others the side that ADM's LSUN networks have.
int64_t side_of_preset(const Preset& preset) {
  const auto digits = preset.name.substr(preset.name.find('-') + 1);
  return !digits.empty() && std::isdigit(static_cast<unsigned char>(digits.front())) ? std::stoll(digits) : 256;
}

bool same_shapes(const Tensors& tensors, const ModelOptions& options, const ModelShape& shape) {
  const auto network = build(options, shape, 0, at::kMeta);
  const auto parameters = network->named_parameters();
  const auto inner =
      std::count_if(tensors.begin(), tensors.end(), [](const auto& item) { return is_inner_head_name(item.first); });
  if (parameters.size() + static_cast<size_t>(inner) != tensors.size()) return false;
  for (const auto& item : parameters) {
    const auto found = tensors.find(item.key());
    if (found == tensors.end() || found->second.sizes() != item.value().sizes()) return false;
  }
  return true;
}

}  // namespace

bool is_adm(const Tensors& tensors) {
  const auto first = tensors.find("input_blocks.0.0.weight");
  return first != tensors.end() && first->second.dim() == 4 && tensors.contains("time_embed.0.weight") &&
         tensors.contains("out.2.weight") && !tensors.contains("null_cond_emb");
}

Recognised read_adm(const Tensors& tensors) {
  Recognised out;
  out.family = "adm";
  out.candidates = {"adm"};
  const auto& first = tensors.at("input_blocks.0.0.weight");
  out.dim = first.size(0);
  out.shape.channels = first.size(1);
  out.options.learn_sigma = tensors.at("out.2.weight").size(0) == 2 * out.shape.channels;
  out.shape.strength = tensors.contains("strength_embed.0.weight");
  out.options.null_label = false;  // ADM is guided by a classifier and knows no missing label
  if (const auto labels = tensors.find("label_emb.weight"); labels != tensors.end()) {
    out.shape.condition = ConditionKind::kIndex;
    out.shape.classes = labels->second.size(0);
  }
  bool chosen = false;
  for (const auto& preset : presets()) {
    if (preset.family != "adm" || chosen) continue;
    auto options = out.options;
    options.name = preset.name;
    auto shape = out.shape;
    shape.size = side_of_preset(preset);
    chosen = same_shapes(tensors, options, shape);
    if (!chosen) continue;
    out.options = options;
    out.shape = shape;
  }
  if (!chosen) {  // what the differences are told against
    out.options.name = "adm-256";
    out.shape.size = 256;
  }
  if (tensors.contains("inner_head.conv.weight")) out.shape.inner = 0;
  out.prediction = out.options.prediction = flow::Target::kNoise;
  out.options.path = out.options.name == "adm-64" ? flow::Path::kCosine : flow::Path::kLinear;
  if (chosen)
    out.notes.push_back(cat("attention heads, their order, the betas and images of side ", out.shape.size,
                            " were taken from the published ", out.options.name,
                            ": weights do not tell them (model.path, data.size)"));
  return out;
}

}  // namespace sdg::model
