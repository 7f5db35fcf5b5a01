// Torch files: which part of the pickle is taken, and its tensors under their names.
#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "tensors/weights_impl.h"

namespace sdg::tensors {
namespace {

constexpr size_t kMaxDepth = 32, kMaxSteps = 4'000'000, kMaxTensors = 100'000, kMaxMetadata = 10'000;
constexpr size_t kMaxName = 1000, kMaxText = 10'000;  // characters; a text may stand in any number of places
constexpr size_t kMaxEntries = 1000;

// Walks a value's tensors and plain values; a value may hold itself, and the depth and the number are bounded.
struct Walk {
  const TorchFile& file;
  const std::string& where;
  Weights& out;
  size_t steps = 0;
  std::vector<const TorchValue*> open = {};              // the value that is walked and what it stands in
  std::unordered_set<const TorchValue*> barren = {};     // without tensors: once is enough
  std::unordered_set<const TorchValue*> described = {};  // by metadata()
  UnreadFinder finder = UnreadFinder(where);

  void count(size_t depth) {
    SDG_CHECK(depth <= kMaxDepth, where, ": its dictionaries are nested more than ", kMaxDepth, " deep");
    SDG_CHECK(++steps <= kMaxSteps, where, ": holds more than ", kMaxSteps, " values");
  }
  std::string inner(const std::string& name, const std::string& key) const {
    SDG_CHECK(name.size() + key.size() < kMaxName, where, ": a name has more than ", kMaxName, " characters");
    return name.empty() ? key : cat(name, ".", key);
  }

  void tensors(const TorchValue& value, const std::string& name, size_t depth = 0) {
    if (barren.contains(&value)) return;
    count(depth);
    if (const auto* stored = value.get<StoredTensor>()) {
      const bool is_new = out.tensors.emplace(name.empty() ? "tensor" : name, file.tensor(*stored)).second;
      SDG_CHECK(is_new, where, ": tensor '", name, "' comes twice");
      SDG_CHECK(out.tensors.size() <= kMaxTensors, where, ": holds more than ", kMaxTensors, " tensors");
      return;
    }
    const auto before = out.tensors.size() + out.unread.size();
    if (auto why = finder.reason(value); !why.empty()) out.unread[name.empty() ? "tensor" : name] = std::move(why);
    if (std::find(open.begin(), open.end(), &value) != open.end()) return;  // an object that refers to its owner
    open.push_back(&value);
    if (const auto* dict = value.get<TorchValue::Dict>()) {
      for (const auto& [key, item] : dict->items) tensors(*item, inner(name, key), depth + 1);
    } else if (const auto* items = value.get<TorchValue::List>()) {
      for (size_t i = 0; i < items->size(); ++i) tensors(*(*items)[i], inner(name, std::to_string(i)), depth + 1);
    }
    open.pop_back();
    if (out.tensors.size() + out.unread.size() == before) barren.insert(&value);
  }

  // Every object once, and not deeper than anybody reads: what refers to each other in circles ends, too.
  void metadata(const TorchValue& value, const std::string& name, size_t depth = 0) {
    if (out.metadata.size() >= kMaxMetadata || depth > kMaxDepth || ++steps > kMaxSteps) return;
    if (const auto* dict = value.get<TorchValue::Dict>()) {
      if (!described.insert(&value).second) return;
      for (const auto& [key, item] : dict->items)
        if (name.size() + key.size() < kMaxName) metadata(*item, inner(name, key), depth + 1);
    } else if (const auto* text = value.get<std::string>()) {
      out.metadata[name] = text->substr(0, kMaxText);
    } else if (const auto* number = value.get<int64_t>()) {
      out.metadata[name] = std::to_string(*number);
    } else if (const auto* real = value.get<double>()) {
      out.metadata[name] = cat(*real);
    } else if (const auto* flag = value.get<bool>()) {
      out.metadata[name] = *flag ? "true" : "false";
    }
  }
};

// What was asked for: a value, and what the names in it must begin with.
struct Asked {
  const TorchValue* value = nullptr;
  std::string path, prefix;
};

std::string path_of(const std::string& path, const std::string& key) {
  return path.empty() ? key : cat(path, ".", key);
}

const TorchValue* element(const TorchValue::List& list, const std::string& key) {
  size_t index = 0;
  const auto [end, failed] = std::from_chars(key.data(), key.data() + key.size(), index);
  return failed == std::errc() && end == key.data() + key.size() && index < list.size() ? list[index] : nullptr;
}

// Keys may hold dots: the longest that begins the entry goes first.
std::optional<Asked> resolve(const TorchValue& value, const std::string& entry, const std::string& path,
                             size_t depth = 0) {
  if (entry.empty()) return Asked{&value, path, ""};
  if (depth > kMaxDepth) return std::nullopt;
  for (size_t end = entry.size(); end != std::string::npos && end > 0; end = entry.rfind('.', end - 1)) {
    const auto key = entry.substr(0, end);
    const auto* list = value.get<TorchValue::List>();
    const auto* inner = list ? element(*list, key) : value.find(key);
    if (inner) {
      const auto rest = end < entry.size() ? entry.substr(end + 1) : "";
      if (auto found = resolve(*inner, rest, path_of(path, key), depth + 1)) return found;
    }
  }
  const auto* dict = value.get<TorchValue::Dict>();
  const bool begins_names = dict && std::any_of(dict->items.begin(), dict->items.end(), [&](const auto& item) {
                              return item.second->template get<StoredTensor>() && item.first.starts_with(entry + ".");
                            });
  if (begins_names) return Asked{&value, path_of(path, entry), entry + "."};
  return std::nullopt;
}

// The part that is taken where none is asked for, see weights.h.
class Choice {
 public:
  Choice(const TorchValue& root, Weights& out) : root_(root), out_(out), all_(torch_parts(root)) {
    parts_ = comparable_parts(root, all_);
  }

  const std::vector<TorchPart>& all() const { return all_; }
  const std::vector<TorchPart>& comparable() const { return parts_; }

  TorchPart usual() {
    if (const auto* dict = root_.get<TorchValue::Dict>(); dict && dict->is_module) return {"", &root_, 0};
    for (const auto& part : averages()) {
      if (!part.is_list() || names_for(part)) return part;
      out_.notes.push_back(cat(part.path, " was passed over: its ", part.tensors,
                               " tensors have no names, and no dictionary beside it gives them by order and shape"));
    }
    const TorchPart* best = nullptr;
    size_t unnamed = 0;
    for (const auto& part : parts_) {
      if (part.is_list()) continue;
      const auto rank = rank_of(part);
      if (rank < usual_rank("") && (!best || rank < rank_of(*best))) best = &part;
      ++unnamed;
    }
    if (best) return *best;
    if (unnamed == 1 && direct_tensors() * 2 < largest()) {
      for (const auto& part : parts_)
        if (!part.is_list()) return part;
    }
    return {"", &root_, 0};
  }

  // Names of a list's tensors, and the dictionary that they are from.
  struct Names {
    TorchPart from;
    std::vector<std::string> names;
  };
  std::optional<Names> names_for(const TorchPart& list) const {
    for (const bool usual_names : {true, false}) {
      for (const auto& part : all_) {
        const auto* dict = part.value->get<TorchValue::Dict>();
        if (!dict || (rank_of(part) < usual_rank("")) != usual_names) continue;
        if (auto names = names_of_list(*list.value->get<TorchValue::List>(), *dict)) return Names{part, *names};
      }
    }
    return std::nullopt;
  }

 private:
  std::vector<TorchPart> averages() const {
    std::vector<TorchPart> out;
    for (const auto& part : parts_)
      if (names_average(part.path)) out.push_back(part);
    std::stable_sort(out.begin(), out.end(), [](const TorchPart& a, const TorchPart& b) {
      if ((a.path == "ema") != (b.path == "ema")) return a.path == "ema";
      return number_in_name(a.path) > number_in_name(b.path);
    });
    return out;
  }
  static size_t rank_of(const TorchPart& part) { return usual_rank(part.path.substr(part.path.rfind('.') + 1)); }
  int64_t direct_tensors() const {
    const auto* dict = root_.get<TorchValue::Dict>();
    return dict ? std::count_if(dict->items.begin(), dict->items.end(),
                                [](const auto& item) { return item.second->template get<StoredTensor>() != nullptr; })
                : 0;
  }
  int64_t largest() const {
    int64_t most = 0;
    for (const auto& part : parts_) most = std::max(most, part.tensors);
    return most;
  }

  const TorchValue& root_;
  Weights& out_;
  std::vector<TorchPart> all_, parts_;
};

// Parameters of a list under names, and what else the dictionary of the names holds (buffers, fixed tables).
void take_list(Weights& out, Walk& walk, const TorchPart& part, const Choice::Names& names) {
  Weights beside;
  Walk other{walk.file, walk.where, beside};
  other.tensors(*names.from.value, "");
  out.unread.merge(beside.unread);
  const auto& list = *part.value->get<TorchValue::List>();
  for (size_t i = 0; i < list.size(); ++i) walk.tensors(*list[i], names.names[i]);
  std::vector<std::string> not_averaged;
  for (auto& [name, tensor] : beside.tensors)
    if (out.tensors.emplace(name, tensor).second) not_averaged.push_back(name);
  out.notes.push_back(
      cat(part.path, " is a list: its tensors got the names of ", names.from.path,
          " in order, which their shapes allow in one way only",
          not_averaged.empty() ? "" : cat("; from ", names.from.path, " itself: ", join_first(not_averaged))));
}

std::vector<std::string> known_entries(const Weights& out, const Choice& choice) {
  auto names = out.entries;
  for (const auto& part : choice.all())
    if (std::find(names.begin(), names.end(), part.path) == names.end()) names.push_back(part.path);
  return names;
}

Asked asked_for(const TorchValue& root, const std::string& entry, Choice& choice, const Weights& out,
                const std::string& where) {
  if (auto found = resolve(root, entry, "")) return *found;
  const auto usual = choice.usual();
  if (!usual.path.empty()) {
    if (auto found = resolve(*usual.value, entry, usual.path)) return *found;
  }
  const auto names = known_entries(out, choice);
  throw Error(cat(where, ": has no entry ", entry, "; it has ", names.empty() ? "none" : join_first(names, 20)));
}

std::string format_of(TorchContainer container) {
  switch (container) {
    case TorchContainer::kZip:
      return "torch zip";
    case TorchContainer::kLegacy:
      return "torch legacy";
    case TorchContainer::kPickle:
      return "pickle";
  }
  SDG_ASSERT(false, "a container without a name");
}

}  // namespace

Weights read_torch(const std::filesystem::path& path, const std::string& entry, const std::string& where) {
  const TorchFile file(path);
  Weights out;
  out.format = format_of(file.container());
  const TorchValue& root = file.root();
  if (const auto* dict = root.get<TorchValue::Dict>()) {
    for (const auto& [key, value] : dict->items) {
      SDG_CHECK(key.size() < kMaxName, where, ": a name has more than ", kMaxName, " characters");
      const auto* inner = value->get<TorchValue::Dict>();  // an object of which nothing is known is no part
      const bool is_part =
          inner ? !inner->is_record || !inner->items.empty() : value->get<TorchValue::List>() != nullptr;
      if (is_part && !dict->is_module && out.entries.size() < kMaxEntries) out.entries.push_back(key);
    }
  }
  Choice choice(root, out);
  Asked asked;
  if (entry.empty()) {
    const auto usual = choice.usual();
    asked = {usual.value, usual.path, ""};
  } else {
    asked = asked_for(root, entry, choice, out, where);
  }
  out.entry = asked.path;
  for (const auto& part : choice.comparable()) {
    const bool within =
        part.path == asked.path || asked.path.starts_with(part.path + ".") || part.path.starts_with(asked.path + ".");
    if (!asked.path.empty() && !within) out.others.push_back({part.path, part.tensors});
  }
  Walk walk{file, where, out};
  walk.metadata(root, "");
  for (auto& [name, text] : file.notes()) out.metadata[name] = text;
  walk.steps = 0;
  // An average's dictionary may hold nothing but the list and its settings.
  TorchPart part{asked.path, asked.value, 0};
  for (const auto& inner : choice.all())
    if (inner.is_list() && names_average(inner.path) && inner.path.starts_with(asked.path + ".")) part = inner;
  if (part.is_list() && asked.prefix.empty()) {
    if (const auto names = choice.names_for(part)) {
      out.entry = part.path;
      take_list(out, walk, part, *names);
      return out;
    }
  }
  walk.tensors(*asked.value, "");
  if (asked.prefix.empty()) return out;
  std::map<std::string, Tensor> chosen;
  for (const auto& [name, tensor] : out.tensors)
    if (name.starts_with(asked.prefix)) chosen.emplace(name.substr(asked.prefix.size()), tensor);
  out.tensors = std::move(chosen);
  std::map<std::string, std::string> unread;
  for (const auto& [name, why] : out.unread)
    if (name.starts_with(asked.prefix)) unread.emplace(name.substr(asked.prefix.size()), why);
  out.unread = std::move(unread);
  return out;
}

}  // namespace sdg::tensors
