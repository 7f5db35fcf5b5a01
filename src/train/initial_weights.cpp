#include "sdg/train/initial_weights.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/io/weights.h"

namespace sdg::train {
namespace {

// Tables of labels under the names of the public networks.
bool is_label_table(const std::string& name) {
  return name.starts_with("label_emb.") || name.starts_with("y_embedder.");
}

std::string some(const std::vector<std::string>& names) {
  constexpr size_t kShown = 4;
  const std::vector<std::string> shown(names.begin(),
                                       names.begin() + static_cast<int64_t>(std::min(kShown, names.size())));
  return join(shown) + (names.size() > kShown ? ", ..." : "");
}

}  // namespace

InitialWeights start_from(Network& network, const std::filesystem::path& path) {
  const auto file = io::read_weights(path);
  InitialWeights out;
  out.source = path.filename().string() + (file.entry.empty() ? "" : cat(" (entry ", file.entry, ")"));
  const at::NoGradGuard no_grad;
  const auto targets = network.tensors("");
  for (const auto& [name, target] : targets) {
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end()) {
      out.fresh.push_back(name);
    } else if (found->second.sizes() != target.sizes()) {
      out.unfit.push_back(name);
    } else {
      target.copy_(found->second);
      ++out.taken;
    }
  }
  for (const auto& item : file.tensors) {
    if (!targets.contains(item.first)) out.unused.push_back(item.first);
    out.class_conditional |= is_label_table(item.first);
  }
  SDG_CHECK(out.taken > 0, path.string(), ": none of its ", file.tensors.size(),
            " tensors has the name and shape of one of the network's; sdg inspect says what is in it");
  return out;
}

std::string to_text(const InitialWeights& weights) {
  std::string text = cat("took ", weights.taken, " tensors of ", weights.source);
  if (!weights.fresh.empty()) text += cat("; ", weights.fresh.size(), " start anew (", some(weights.fresh), ")");
  if (!weights.unfit.empty())
    text += cat("; ", weights.unfit.size(), " of another shape start anew (", some(weights.unfit), ")");
  if (!weights.unused.empty())
    text += cat("; ", weights.unused.size(), " of the file unused (", some(weights.unused), ")");
  return text;
}

}  // namespace sdg::train
