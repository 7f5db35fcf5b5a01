#include "sdg/convert/convert.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/checkpoint.h"
#include "sdg/config/write.h"
#include "sdg/convert/told_form.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/model/catalog.h"
#include "sdg/nn/init.h"

namespace sdg::convert {
namespace {

void check_fit(const model::Recognised& network, const std::string& source) {
  std::string complaint;
  if (!network.missing.empty()) complaint += cat("; missing: ", join_first(network.missing));
  if (!network.unexpected.empty()) complaint += cat("; unexpected: ", join_first(network.unexpected));
  if (!network.misshapen.empty()) complaint += cat("; misshapen: ", join_first(network.misshapen));
  SDG_CHECK(network.fits(), source, ": nearly a ", network.options.name, complaint);
}

// REPA's SiT runs from data at t = 0 to noise at 1 and predicts noise - data; it has projectors, by which it is told.
// Ours is -v(x, 1 - t), which is the same network with other weights: cos and sin of (1 - t) f are a rotation of those
// of t f.
bool turn_repa_around(model::Tensors& tensors) {
  const auto is_projector = [](const auto& item) { return item.first.starts_with("projectors."); };
  const bool repa = std::any_of(tensors.begin(), tensors.end(), is_projector);
  const std::string time = "t_embedder.mlp.0.weight", last = "final_layer.linear.";
  if (!repa || !tensors.contains(time) || !tensors.contains(last + "weight") || !tensors.contains(last + "bias"))
    return false;
  const auto old = tensors.at(time);
  if (old.dim() != 2 || old.size(1) % 2 != 0) return false;
  std::erase_if(tensors, is_projector);
  const auto half = old.size(1) / 2;
  const auto wide = old.to(at::kDouble);
  const auto frequency = at::exp(at::arange(half, at::kDouble) *
                                 (-std::log(10000.0) / static_cast<double>(half)));  // as nn::time_embedding
  const auto of_cos = wide.narrow(1, 0, half), of_sin = wide.narrow(1, half, half), c = frequency.cos(),
             s = frequency.sin();
  tensors[time] = at::cat({of_cos * c + of_sin * s, of_cos * s - of_sin * c}, 1).to(old.scalar_type());
  for (const std::string part : {"weight", "bias"}) tensors[last + part] = tensors.at(last + part).neg();
  return true;
}

recipe::RunConfig implied_config(const model::Recognised& network) {
  recipe::RunConfig config;
  config.model = network.options;
  config.data.size = network.shape.size;
  config.data.channels = network.shape.channels;
  config.data.path = "none";  // nothing is known of the data it was trained on
  config.flow.sigma_min = 0;
  const auto& condition = network.shape.condition;
  config.condition.source = condition == model::ConditionKind::kIndex    ? recipe::Source::kLabel
                            : condition == model::ConditionKind::kVector ? recipe::Source::kOnline
                                                                         : recipe::Source::kNone;
  if (network.head) {
    config.cluster.clusters = network.head->clusters;
    config.cluster.hidden = network.head->hidden;
    config.cluster.standardize = network.head->standardize;
    config.cluster.pooling = network.head->features == network.dim ? cluster::Pooling::kCls : cluster::Pooling::kFlat;
    if (network.head->centroids) {
      config.condition.token = recipe::Token::kCentroid;
    } else {  // sgfm: prototypes of length 1 as tokens, and a null token of their own
      config.condition.token_scale = 1;
      config.condition.null_token = recipe::NullToken::kSeparate;
    }
    config.condition.change = 0;
  }
  return config;
}

int64_t steps_of(const tensors::Weights& weights) {
  for (const char* key : {"train_steps", "steps", "step", "global_step"}) {
    const auto found = weights.metadata.find(key);
    if (found == weights.metadata.end()) continue;
    const auto& text = found->second;
    const bool is_number =
        !text.empty() && text.size() < 16 &&
        std::all_of(text.begin(), text.end(), [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; });
    if (is_number) return std::max<int64_t>(1, std::stoll(text));
  }
  return 1;
}

// Position embeddings for another grid than the file's.
void fit_positions(std::map<std::string, Tensor>& tensors, const model::Recognised& network,
                   const recipe::RunConfig& config, int64_t classes, std::vector<std::string>& notes) {
  if (config.data.size == network.shape.size) return;
  if (!tensors.contains("pos_embed")) return;  // a U-Net takes any side that its levels divide
  const auto meta = network::build_network(config, classes, at::kMeta).model;
  auto& positions = tensors.at("pos_embed");
  if (network.family == "uvit") {
    int64_t grid = 1;
    while (grid * grid < meta->patch_tokens()) ++grid;
    positions = model::resize_positions(positions, meta->extra_tokens(), grid);
    notes.push_back(cat("position embeddings resized bilinearly from images of side ", network.shape.size, " to ",
                        config.data.size));
  } else {
    const nn::WithoutInitialValues only_the_table;
    const auto fresh = network::build_network(config, classes, at::kCPU).model;
    positions = fresh->named_parameters()["pos_embed"].detach().clone();
    notes.push_back(cat("the fixed position table was made anew for images of side ", config.data.size, " instead of ",
                        network.shape.size));
  }
}

// A place without a prefix has a name too.
std::vector<std::string> named(std::vector<std::string> prefixes) {
  for (auto& prefix : prefixes)
    if (prefix.empty()) prefix = "no prefix";
  return prefixes;
}

}  // namespace

std::vector<std::string> chosen_notes(const tensors::Weights& weights, const model::FoundNetwork& place) {
  auto notes = weights.notes;
  if (const auto also = tensors::also_holds(weights); !also.empty()) notes.push_back(also);
  notes.insert(notes.end(), place.notes.begin(), place.notes.end());
  if (!place.prefix.empty() && place.notes.empty())
    notes.push_back(cat("the network's names begin with ", place.prefix));
  if (!place.others.empty())
    notes.push_back(cat("this file also holds such a network below ", join_first(named(place.others))));
  if (!place.outside.empty())
    notes.push_back(
        cat(place.outside.size(), " tensors of other parts were left aside: ", join_first(place.outside, 4)));
  return notes;
}

std::string family_hint(const tensors::Weights& weights) {
  const auto found = weights.metadata.find("args.model");
  if (found == weights.metadata.end()) return "";
  if (found->second.starts_with("SiT")) return "sit";
  return found->second.starts_with("DiT") ? "dit" : "";
}

Converted convert_public(const tensors::Weights& weights, const std::string& source, const ConvertOptions& options) {
  Converted out;
  auto hint = options.family.empty() ? family_hint(weights) : options.family;
  auto place = model::find_network(weights.tensors);
  const bool turned = turn_repa_around(place.tensors);
  if (turned && hint.empty()) hint = "sit";
  auto found = model::recognise(place.tensors, hint);
  std::string known;
  for (const auto& row : model::recognisers()) known += (known.empty() ? "" : ", ") + std::string(row.name);
  SDG_CHECK(found.has_value(), source, ": these tensors belong to no network that is known here (", known, "); ",
            model::nearest_network(place.tensors));
  out.notes = chosen_notes(weights, place);
  if (turned)
    out.notes.push_back(
        "REPA's projectors were left out, and its time, which runs from data to noise, was turned around");
  auto& network = *found;
  check_fit(network, source);
  SDG_CHECK_USAGE(network.candidates.size() == 1, source, ": DiT and SiT have the same tensors: say which with --as");
  SDG_CHECK_USAGE(network.shape.inner < 0 && !network.shape.strength, source,
                  ": its inner head or input of the strength is described by its own configuration only; draw from the "
                  "checkpoint as it is");
  SDG_CHECK_USAGE(network.shape.condition != model::ConditionKind::kPatchVector, source,
                  ": a network with one condition per patch can be inspected, not yet drawn from");

  SDG_CHECK(network.shape.condition != model::ConditionKind::kVector || network.head, source,
            ": a network conditioned by vectors needs the prototypes they are taken from, and the file has none");

  auto overrides = told_overrides(weights);
  const bool says_told = !overrides.empty();
  overrides.insert(overrides.end(), options.overrides.begin(), options.overrides.end());
  checkpoint::CheckpointInfo info;
  info.config = recipe::parse_config(
      [&] {
        auto implied = implied_config(network);
        return config::to_yaml(config::Fields::of(implied));
      }(),
      source, overrides);
  SDG_CHECK_USAGE(network.heads_known || info.config.model.heads > 0, source,
                  ": weights do not say how many attention heads there are: --set model.heads=N");
  info.step = steps_of(weights);
  info.classes = network.shape.classes;
  info.data = cat("unknown: converted from ", source);
  info.labels_read = network.shape.condition == model::ConditionKind::kIndex;
  info.provenance = checkpoint::provenance_of(weights.metadata, source);
  if (!info.provenance.empty()) info.labels_read = info.provenance.verdict() == checkpoint::Verdict::kNo;

  auto tensors = place.tensors;
  fit_positions(tensors, network, info.config, info.classes, out.notes);
  const auto expected = network::build_network(info.config, info.classes, at::kMeta).model;
  for (const auto& item : expected->named_parameters()) {
    const auto given = tensors.find(item.key());
    SDG_CHECK(given != tensors.end() && given->second.sizes() == item.value().sizes(), source, ": ", item.key(),
              " does not fit the options that were set");
  }
  for (const auto& [name, tensor] : tensors) out.file.tensors.emplace("ema." + name, tensor);
  const auto conditions = network.head ? network.head->clusters : info.classes;
  if (conditions > 0) {
    out.file.tensors.emplace("prior", at::ones({conditions}, at::kDouble));
    out.notes.push_back(
        cat("the file does not say how frequent its ", conditions, " conditions are: all count as equally frequent"));
  }
  checkpoint::describe(out.file, info);
  out.file.metadata["converted_from"] = std::filesystem::path(source).filename().string();
  out.file.metadata["converted_entry"] = weights.entry;
  if (!place.prefix.empty()) out.file.metadata["converted_prefix"] = place.prefix;
  out.file.metadata["prediction"] = config::name(info.config.model.prediction);
  if (network.prediction != flow::Target::kVelocity)
    out.notes.push_back(cat("this network predicts ", config::name(network.prediction), " on the path ",
                            config::name(info.config.model.path), "; samplers convert it into a velocity"));
  if (network.head && !says_told && is_told_as_public(info.config.condition)) {
    out.notes.push_back(
        "as in sgfm, prototypes are taken as tokens of length 1 and the null token as separate: see "
        "condition.token_scale and condition.null_token");
  }
  for (const auto& note : network.notes) out.notes.push_back(note);
  out.network = std::move(network);
  out.tensors = static_cast<int64_t>(tensors.size());
  return out;
}

}  // namespace sdg::convert
