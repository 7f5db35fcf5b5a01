#include <algorithm>

#include "sdg/core/error.h"
#include "tensors/pickle_impl.h"

namespace sdg::tensors {
namespace {

constexpr size_t kMaxValues = 2'000'000, kMaxCharged = 256U << 20, kMaxSteps = 8'000'000;

}  // namespace

const TorchValue* TorchValue::find(const std::string& key) const {
  const auto* dict = get<Dict>();
  if (!dict) return nullptr;
  const auto found =
      std::find_if(dict->items.rbegin(), dict->items.rend(), [&](const auto& i) { return i.first == key; });
  return found == dict->items.rend() ? nullptr : found->second;
}

bool UnreadFinder::reaches_tensors(const std::vector<const TorchValue*>& from) {
  std::unordered_set<const TorchValue*> seen;
  std::vector<const TorchValue*> open = from;
  while (!open.empty()) {
    const auto* value = open.back();
    open.pop_back();
    SDG_CHECK(++steps_ <= kMaxSteps, where_, ": holds more than ", kMaxSteps, " values");
    if (barren_.contains(value) || !seen.insert(value).second) continue;
    if (value->get<StoredTensor>() || value->get<TorchValue::Storage>() || value->get<TorchValue::Unread>())
      return true;
    if (const auto* list = value->get<TorchValue::List>()) open.insert(open.end(), list->begin(), list->end());
    if (const auto* dict = value->get<TorchValue::Dict>()) {
      for (const auto& [unused, item] : dict->items) open.push_back(item);
      open.insert(open.end(), dict->given.begin(), dict->given.end());
    }
  }
  barren_.merge(seen);
  return false;
}

std::string UnreadFinder::reason(const TorchValue& value) {
  if (const auto* unread = value.get<TorchValue::Unread>()) return unread->why;
  if (value.get<TorchValue::Storage>()) return "is memory without a shape";
  const auto* record = value.get<TorchValue::Dict>();
  if (!record || record->given.empty() || !reaches_tensors(record->given)) return {};
  return cat("is made of tensors by ", record->type, ", which is not known here");
}

TorchValue* ValuePool::make(decltype(TorchValue::data) data) {
  SDG_CHECK(values_.size() < kMaxValues, where_, ": more than ", kMaxValues, " values: this is no checkpoint");
  return &values_.emplace_back(TorchValue{std::move(data)});
}

void ValuePool::charge(size_t bytes) {
  charged_ += bytes;
  SDG_CHECK(charged_ <= kMaxCharged, where_, ": its pickle copies more than ", kMaxCharged,
            " bytes of itself: this is no checkpoint");
}

}  // namespace sdg::tensors
