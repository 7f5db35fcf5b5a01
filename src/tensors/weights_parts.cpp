// Which dictionaries and lists of a torch file may be networks.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "tensors/weights_impl.h"

namespace sdg::tensors {
namespace {

constexpr size_t kDeepest = 4;         // levels at which networks are looked for
constexpr size_t kDeepestTensor = 32;  // levels at which their tensors are counted

class Finder {
 public:
  void children(const TorchValue& value, const std::string& path, size_t level) {
    if (level >= kDeepest) return;
    if (const auto* dict = value.get<TorchValue::Dict>()) {
      for (const auto& [key, item] : dict->items) child(*item, key, path.empty() ? key : path + "." + key, level);
    } else if (const auto* list = value.get<TorchValue::List>()) {
      for (size_t i = 0; i < list->size(); ++i)
        child(*(*list)[i], "", (path.empty() ? "" : path + ".") + std::to_string(i), level);
    }
  }
  std::vector<TorchPart> found;

 private:
  void child(const TorchValue& value, const std::string& key, const std::string& path, size_t level) {
    const bool container = value.get<TorchValue::Dict>() || value.get<TorchValue::List>();
    if (!container || names_bookkeeping(key) || !seen_.insert(&value).second) return;
    const auto tensors = below(value, 0), own = direct(value);
    if (tensors == 0) return;
    const auto* dict = value.get<TorchValue::Dict>();
    const bool is_module = dict && dict->is_module;
    const bool named = usual_rank(key) < usual_rank("") || names_average(key);
    if (is_module || own * 2 > tensors || (named && value.get<TorchValue::Dict>() && !has_one_part(value))) {
      found.push_back({path, &value, tensors});
    } else {
      children(value, path, level + 1);
    }
  }

  // Is all that it holds one part under a name of its own ({"decay": 0.999, "shadow_params": [...]})?
  bool has_one_part(const TorchValue& value) {
    int64_t parts = 0;
    const auto* dict = value.get<TorchValue::Dict>();
    if (!dict) return false;
    for (const auto& [key, item] : dict->items) {
      const bool container = item->get<TorchValue::Dict>() || item->get<TorchValue::List>();
      parts += container && !names_bookkeeping(key) && below(*item, 0) > 0 ? 1 : 0;
    }
    return parts == 1;
  }

  static int64_t direct(const TorchValue& value) {
    const auto is_tensor = [](const TorchValue* item) { return item->get<StoredTensor>() != nullptr; };
    if (const auto* dict = value.get<TorchValue::Dict>()) {
      return std::count_if(dict->items.begin(), dict->items.end(),
                           [&](const auto& item) { return is_tensor(item.second); });
    }
    const auto& list = *value.get<TorchValue::List>();
    return std::count_if(list.begin(), list.end(), is_tensor);
  }

  // Counted once, wherever a value stands: objects may know their owners.
  int64_t below(const TorchValue& value, size_t depth) {
    if (value.get<StoredTensor>()) return 1;
    if (depth > kDeepestTensor) return 0;
    const auto [known, is_new] = counts_.try_emplace(&value, 0);
    if (!is_new) return known->second;
    int64_t count = 0;
    if (const auto* dict = value.get<TorchValue::Dict>()) {
      for (const auto& [key, item] : dict->items)
        if (!names_bookkeeping(key) || item->get<StoredTensor>()) count += below(*item, depth + 1);
    } else if (const auto* list = value.get<TorchValue::List>()) {
      for (const auto* item : *list) count += below(*item, depth + 1);
    }
    constexpr int64_t kMost = 1'000'000;  // more than a file may hold; sums of shared values must not overflow
    return counts_[&value] = std::min(count, kMost);
  }

  std::unordered_map<const TorchValue*, int64_t> counts_;
  std::unordered_set<const TorchValue*> seen_;  // one object under two names is one part
};

}  // namespace

std::vector<TorchPart> torch_parts(const TorchValue& root) {
  Finder finder;
  finder.children(root, "", 0);
  return std::move(finder.found);
}

std::vector<TorchPart> comparable_parts(const TorchValue& root, const std::vector<TorchPart>& parts) {
  int64_t most = 0;
  for (const auto& part : parts) most = std::max(most, part.tensors);
  if (const auto* dict = root.get<TorchValue::Dict>()) {
    most = std::max<int64_t>(most, std::count_if(dict->items.begin(), dict->items.end(), [](const auto& item) {
                               return item.second->template get<StoredTensor>() != nullptr;
                             }));
  }
  std::vector<TorchPart> out;
  for (const auto& part : parts)
    if (part.tensors * 2 >= most) out.push_back(part);
  return out;
}

}  // namespace sdg::tensors
