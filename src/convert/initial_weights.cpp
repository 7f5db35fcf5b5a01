#include "sdg/convert/initial_weights.h"

#include <algorithm>
#include <set>

#include "sdg/checkpoint/audit.h"
#include "sdg/convert/convert.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/text.h"
#include "sdg/model/find_network.h"
#include "sdg/tensors/weights.h"

namespace sdg::convert {
namespace {

constexpr size_t kShown = 4;  // names in a message

// Tables of labels under the names of the public networks, wherever the network lies in the file.
bool is_label_table(const std::string& name) {
  for (const std::string table : {"label_emb.", "y_embedder."}) {
    const auto at = name.find(table);
    if (at == 0 || (at != std::string::npos && name[at - 1] == '.')) return true;
  }
  return false;
}

bool is_head_name(const std::string& name) {
  const auto& starts = model::head_names();
  return std::any_of(starts.begin(), starts.end(), [&](const auto& start) { return name.starts_with(start); });
}

// Sides of one comparison that may differ: neither says that the file is of another network.
class Strict {
 public:
  explicit Strict(const model::Tensors& file) {
    for (const auto& [name, unused] : file) file_has_head_ |= is_head_name(name);
  }
  bool may_start_anew(const std::string& name) const {
    return model::is_condition_name(name) || model::is_projector_name(name) || model::is_inner_head_name(name) ||
           model::is_strength_name(name) || name.starts_with("members.") || (is_head_name(name) && !file_has_head_);
  }
  static bool may_stay_unused(const std::string& name) {
    return model::is_condition_name(name) || model::is_projector_name(name) || model::is_inner_head_name(name) ||
           is_head_name(name);
  }

 private:
  bool file_has_head_ = false;
};

std::string counted(const std::vector<std::string>& names, const std::string& what) {
  return names.empty() ? "" : cat("; ", names.size(), " ", what, " (", join_first(names, kShown), ")");
}

}  // namespace

InitialWeights start_from(network::Network& network, const std::filesystem::path& path, model::WeightsMatch match) {
  const auto file = tensors::read_weights(path);
  InitialWeights out;
  out.source = path.filename().string() + (file.entry.empty() ? "" : cat(" (entry ", file.entry, ")"));
  out.provenance = checkpoint::provenance_of(file.metadata, path.string());
  bool class_conditional = false;
  const at::NoGradGuard no_grad;
  const auto targets = network.tensors("");
  std::set<std::string> names, fixed;
  for (const auto& [name, unused] : targets) names.insert(name);
  for (const auto& item : network.model->named_parameters())
    if (!item.value().requires_grad()) fixed.insert(item.key());
  const auto found = model::find_network(file.tensors, names);
  out.notes = chosen_notes(file, found);

  const Strict strict(found.tensors);
  std::vector<std::string> missing, misshapen, left;  // what strict does not allow
  std::vector<std::pair<Tensor, Tensor>> copies;
  for (const auto& [name, target] : targets) {
    const auto given = found.tensors.find(name);
    if (given == found.tensors.end()) {
      out.fresh.push_back(name);
      if (!strict.may_start_anew(name) && !fixed.contains(name)) missing.push_back(name);
    } else if (given->second.sizes() != target.sizes()) {
      out.unfit.push_back(cat(name, " ", to_string(given->second.sizes()), " instead of ", to_string(target.sizes())));
      if (!fixed.contains(name)) misshapen.push_back(out.unfit.back());
    } else {
      check_finite(given->second, path.string(), name);
      copies.emplace_back(target, given->second);
    }
  }
  for (const auto& [name, unused] : found.tensors) {
    if (targets.contains(name)) continue;
    out.unused.push_back(name);
    if (!Strict::may_stay_unused(name)) left.push_back(name);
  }
  for (const auto& [name, unused] : file.tensors) class_conditional |= is_label_table(name);
  out.taken = static_cast<int64_t>(copies.size());
  SDG_CHECK(out.taken > 0, path.string(), ": none of its ", file.tensors.size(),
            " tensors has the name and shape of one of the network's; sdg inspect says what is in it");
  const bool fits = missing.empty() && misshapen.empty() && left.empty();
  SDG_CHECK(fits || match != model::WeightsMatch::kStrict, path.string(), ": does not fit the network: ", out.taken,
            " of its ", targets.size(), " tensors are in the file in their shape", counted(missing, "are missing"),
            counted(misshapen, "have another shape"), counted(left, "of the file have no place"),
            "; sdg inspect shows what the file is, --set model.weights_match=matching takes what fits");
  for (auto& [target, given] : copies) target.copy_(given);
  if (out.provenance.empty() && class_conditional) {
    out.provenance.add({"a network that was trained on labels, by its tensors", checkpoint::Verdict::kNo});
  } else if (out.provenance.empty()) {
    out.provenance.add({"somebody else's weights, whose training is not known here", checkpoint::Verdict::kUnknown});
  }
  return out;
}

std::string to_text(const InitialWeights& weights) {
  std::string text = cat("took ", weights.taken, " tensors of ", weights.source);
  text += counted(weights.fresh, "start anew");
  text += counted(weights.unfit, "of another shape start anew");
  text += counted(weights.unused, "of the file unused");
  for (const auto& note : weights.notes) text += "; " + note;
  return text;
}

}  // namespace sdg::convert
