// What a person is told whose tensors belong to no known network.
#include <algorithm>
#include <cctype>
#include <set>

#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/model/autoencoder_kl.h"
#include "sdg/model/catalog.h"
#include "sdg/model/find_network.h"
#include "sdg/model/taesd.h"

namespace sdg::model {
namespace {

constexpr const char* kFamilies[] = {"uvit-tiny/2", "dit-tiny/2", "adm-tiny", "sg-unet-fast"};

// Numbers of blocks do not matter: "blocks.11.norm" reads "blocks.#.norm".
std::string pattern(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (digit && out.ends_with('#')) continue;
    out += digit ? '#' : c;
  }
  return out;
}

// Names of a small network of the family, by pattern.
std::map<std::string, std::string> names_of(const std::string& preset) {
  ModelOptions options;
  options.name = preset;
  const auto network = build(options, {.size = 32, .channels = 3, .condition = ConditionKind::kNone}, 0, at::kMeta);
  std::map<std::string, std::string> out;
  for (const auto& item : network->named_parameters()) out.emplace(pattern(item.key()), item.key());
  return out;
}

}  // namespace

std::string nearest_network(const Tensors& tensors) {
  if (is_taesd(tensors) || is_kl(tensors))
    return "they are an autoencoder, which sdg encode and sdg decode take as --autoencoder";
  std::map<std::string, std::string> given;
  for (const auto& [name, unused] : tensors)
    if (!is_condition_name(name)) given.emplace(pattern(name), name);
  std::string best;
  size_t most = 0;
  std::vector<std::string> missing, foreign;
  for (const auto* preset : kFamilies) {
    const auto own = names_of(preset);
    size_t common = 0;
    for (const auto& [key, unused] : own) common += given.contains(key) ? 1 : 0;
    if (common <= most || common * 4 < own.size()) continue;  // a name or two mean nothing
    most = common;
    best = std::string(preset).substr(0, std::string(preset).find('-'));
    missing.clear();
    foreign.clear();
    for (const auto& [key, name] : own)
      if (!given.contains(key) && !is_condition_name(name)) missing.push_back(name);
    for (const auto& [key, name] : given)
      if (!own.contains(key)) foreign.push_back(name);
  }
  if (most == 0) {
    std::vector<std::string> first;
    for (const auto& [key, name] : given) first.push_back(name);
    return cat("their names are others; the file has ", join_first(first, 4));
  }
  std::string out = cat("the nearest family is ", best, ": ", most, " kinds of its names are there");
  if (!missing.empty()) out += cat("; it also has ", join_first(missing, 4));
  if (!foreign.empty()) out += cat("; it does not have ", join_first(foreign, 4));
  return out;
}

}  // namespace sdg::model
