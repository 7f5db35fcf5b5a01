#include "sdg/model/find_network.h"

#include <algorithm>
#include <array>
#include <map>

#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/tensors/weights.h"

namespace sdg::model {
namespace {

constexpr size_t kMostParts = 8;  // of a name that may stand before a network's own
// A tensor that every network of a family has, under a name that nothing else uses.
constexpr std::array kMarkers = {"decoder_pred.weight", "x_embedder.proj.weight", "input_blocks.0.0.weight"};

struct Place {
  std::string prefix;
  size_t hits = 0;  // names that are wanted, or tensors of a recognised network

  bool average() const { return tensors::names_average(prefix); }
};

std::map<std::string, size_t> hits_by_prefix(const Tensors& tensors, const std::set<std::string>& wanted) {
  std::map<std::string, size_t> out;
  for (const auto& [name, unused] : tensors) {
    size_t from = 0;
    for (size_t part = 0; part < kMostParts && from < name.size(); ++part) {
      if (wanted.contains(name.substr(from))) ++out[name.substr(0, from)];
      const auto dot = name.find('.', from);
      if (dot == std::string::npos) break;
      from = dot + 1;
    }
  }
  return out;
}

Tensors below(const Tensors& tensors, const std::string& prefix) {
  Tensors out;
  for (auto at = tensors.lower_bound(prefix); at != tensors.end() && at->first.starts_with(prefix); ++at)
    if (at->first.size() > prefix.size()) out.emplace(at->first.substr(prefix.size()), at->second);
  return out;
}

bool better(const Place& a, const Place& b) {
  if (a.average() != b.average()) return a.average();
  const auto decay = [](const Place& place) { return place.average() ? tensors::number_in_name(place.prefix) : 0; };
  if (decay(a) != decay(b)) return decay(a) > decay(b);
  if (a.hits != b.hits) return a.hits > b.hits;
  if (a.prefix.size() != b.prefix.size()) return a.prefix.size() < b.prefix.size();
  return a.prefix < b.prefix;
}

std::string without_dots(std::string name) {
  std::erase(name, '.');
  return name;
}

// LDM's LitEma: "model_ema." and the parameter's name, as the module `model` has it, without its dots.
std::string take_dotless_average(FoundNetwork& out, const Tensors& all) {
  std::set<std::string> groups;
  for (const auto& [name, unused] : all) {
    const auto dot = name.find('.');
    if (dot != std::string::npos && tensors::names_average(name.substr(0, dot))) groups.insert(name.substr(0, dot + 1));
  }
  for (const auto& group : groups) {
    for (size_t base = 0; base != std::string::npos && base <= out.prefix.size();) {
      Tensors averaged;
      for (const auto& [name, tensor] : out.tensors) {
        const auto found = all.find(group + without_dots(out.prefix.substr(base) + name));
        if (found != all.end() && found->second.sizes() == tensor.sizes()) averaged.emplace(name, found->second);
      }
      if (averaged.size() * 2 >= below(all, group).size()) {
        std::vector<std::string> raw;
        for (const auto& [name, tensor] : out.tensors)
          if (!name.starts_with(group) && averaged.emplace(name, tensor).second) raw.push_back(name);
        out.tensors = std::move(averaged);
        if (!raw.empty())
          out.notes.push_back(cat("not in the average, taken from ", out.prefix, ": ", join_first(raw)));
        return group;
      }
      const auto dot = out.prefix.find('.', base);
      base = dot == std::string::npos ? dot : dot + 1;
    }
  }
  return "";
}

FoundNetwork take(const Tensors& tensors, std::vector<Place> places) {
  FoundNetwork out;
  size_t most = 0;
  for (const auto& place : places) most = std::max(most, place.hits);
  std::erase_if(places, [&](const Place& place) { return place.hits == 0 || place.hits * 2 < most; });
  if (places.empty()) {
    out.tensors = tensors;
    return out;
  }
  std::sort(places.begin(), places.end(), better);
  out.prefix = places.front().prefix;
  out.tensors = below(tensors, out.prefix);
  for (size_t i = 1; i < places.size(); ++i) out.others.push_back(places[i].prefix);
  std::string average;
  if (!places.front().average()) average = take_dotless_average(out, tensors);
  if (!average.empty()) {
    out.others.insert(out.others.begin(), out.prefix);
    out.notes.push_back(
        cat("took the average ", average, "*, whose names lack their dots, under the names of ", out.prefix));
    out.prefix = average;
  }
  // What lies below no place; a place at "" takes everything but what is below the others.
  std::vector<std::string> named = out.others;
  named.push_back(out.prefix);
  std::erase(named, "");
  const bool at_top = out.prefix.empty() || std::find(out.others.begin(), out.others.end(), "") != out.others.end();
  const auto is_named = [&](const std::string& name) {
    return std::any_of(named.begin(), named.end(), [&](const auto& prefix) { return name.starts_with(prefix); });
  };
  if (out.prefix.empty()) std::erase_if(out.tensors, [&](const auto& item) { return is_named(item.first); });
  for (const auto& [name, unused] : tensors)
    if (!at_top && !is_named(name)) out.outside.push_back(name);
  return out;
}

}  // namespace

FoundNetwork find_network(const Tensors& tensors, const std::set<std::string>& wanted) {
  std::vector<Place> places;
  for (const auto& [prefix, hits] : hits_by_prefix(tensors, wanted)) places.push_back({prefix, hits});
  return take(tensors, std::move(places));
}

FoundNetwork find_network(const Tensors& tensors) {
  std::vector<Place> places;
  for (const auto& [prefix, unused] : hits_by_prefix(tensors, {kMarkers.begin(), kMarkers.end()})) {
    const auto own = below(tensors, prefix);
    const auto& rows = recognisers();
    const bool known = std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return row.matches(own); });
    if (known) places.push_back({prefix, own.size()});
  }
  return take(tensors, std::move(places));
}

bool is_condition_name(const std::string& name) {
  static const std::set<std::string> kNames = {"label_emb",  "y_embedder",    "cls_token",       "null_cfg_embed",
                                               "null_embed", "null_cond_emb", "null_layout_emb", "unconditional_embed",
                                               "cond_mlp",   "mlp_cond",      "to_cond_tokens",  "to_cond_tokens_2d"};
  return kNames.contains(name.substr(0, name.find('.')));
}

}  // namespace sdg::model
