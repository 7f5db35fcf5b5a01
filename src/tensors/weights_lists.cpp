// Names for lists of parameters, as torch_ema and diffusers' EMAModel keep them.
#include <set>

#include "tensors/weights_impl.h"

namespace sdg::tensors {
namespace {

struct Named {
  std::string name;
  const Shape* shape;
};

// Which of `names` the list's tensors are if each takes the first (or, from behind, the last) that its shape allows.
std::vector<size_t> greedy(const std::vector<const Shape*>& list, const std::vector<Named>& names, bool backwards) {
  std::vector<size_t> out;
  const auto at = [&](size_t i, size_t count) { return backwards ? count - 1 - i : i; };
  for (size_t i = 0; i < names.size() && out.size() < list.size(); ++i) {
    const auto name = at(i, names.size());
    if (*names[name].shape == *list[at(out.size(), list.size())]) out.push_back(name);
  }
  return backwards ? std::vector<size_t>(out.rbegin(), out.rend()) : out;
}

// Buffers of batch norms and fixed tables, which parameters() leaves out.
bool is_no_parameter(const std::string& name) {
  static const std::set<std::string> kNames = {"running_mean", "running_var", "num_batches_tracked", "pos_embed",
                                               "sigmas",       "freqs_cos",   "freqs_sin",           "inv_freq"};
  return kNames.contains(name.substr(name.rfind('.') + 1));
}

std::optional<std::vector<std::string>> only_reading(const std::vector<const Shape*>& list,
                                                     const std::vector<Named>& names) {
  const auto first = greedy(list, names, false);
  if (first.size() != list.size() || first != greedy(list, names, true)) return std::nullopt;
  std::vector<std::string> out;
  for (const auto i : first) out.push_back(names[i].name);
  return out;
}

}  // namespace

std::optional<std::vector<std::string>> names_of_list(const TorchValue::List& list, const TorchValue::Dict& names) {
  std::vector<const Shape*> shapes;
  for (const auto* item : list) {
    const auto* stored = item->get<StoredTensor>();
    if (!stored) return std::nullopt;
    shapes.push_back(&stored->shape);
  }
  std::vector<Named> all, parameters;
  std::set<std::string> seen;
  for (const auto& [key, value] : names.items) {
    const auto* stored = value->get<StoredTensor>();
    if (!stored || !seen.insert(key).second) continue;
    all.push_back({key, &stored->shape});
    if (!is_no_parameter(key)) parameters.push_back(all.back());
  }
  if (shapes.empty() || shapes.size() > all.size()) return std::nullopt;
  if (auto found = only_reading(shapes, all)) return found;
  return only_reading(shapes, parameters);
}

}  // namespace sdg::tensors
