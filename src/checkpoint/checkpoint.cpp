#include "sdg/checkpoint/checkpoint.h"
#include "io/json_impl.h"

#include <torch/version.h>

#include "sdg/checkpoint/recovery.h"
#include "sdg/cluster/label_prior.h"
#include "sdg/config/names.h"
#include "sdg/config/write.h"
#include "sdg/core/error.h"
#include "sdg/core/utf8.h"
#include "sdg/core/version.h"
#include "sdg/nn/init.h"

namespace sdg::checkpoint {
namespace {
// From 2 on with a checksum over the whole file (tensors/verify.h).
constexpr const char *kFormat = "sdg-checkpoint-2", *kFormatWithoutChecksum = "sdg-checkpoint-1";

tensors::TensorFile read_checkpoint(const std::filesystem::path& path) {
  try {
    return tensors::read_tensors(path);
  } catch (const Error& error) {
    throw Error(error.what() + sound_neighbour(path));
  }
}

// The rows that Learner::save kept; null where conditions are not stored.
std::shared_ptr<const network::StoredConditions> stored_conditions(const tensors::TensorFile& file,
                                                                   const std::string& where) {
  if (const auto tokens = file.tensors.find("kept_tokens"); tokens != file.tensors.end()) {
    auto out = std::make_shared<network::StoredConditions>();
    out->values = tokens->second;
    out->clusters = file.at("kept_clusters", where).select(1, 0);
    return out;
  }
  const auto values = file.tensors.find("stored.values"), maps = file.tensors.find("stored.maps");
  if (values == file.tensors.end() && maps == file.tensors.end()) return nullptr;
  auto out = std::make_shared<network::StoredConditions>();
  if (values != file.tensors.end()) out->values = values->second;
  if (maps != file.tensors.end()) out->maps = maps->second;
  const auto number = [&](const char* key) {
    const auto found = file.metadata.find(key);
    SDG_CHECK(found != file.metadata.end(), where, ": no metadata `", key, "`");
    return std::stoll(found->second);
  };
  out->classes = number("stored_classes");
  out->map_channels = number("stored_map_channels");
  if (const auto weights = file.tensors.find("stored.weights"); weights != file.tensors.end())
    out->weights = weights->second;
  return out;
}

}  // namespace

void describe(tensors::TensorFile& file, const CheckpointInfo& info) {
  auto config = info.config;
  file.metadata["format"] = kFormat;
  file.metadata["sdg_version"] = version();
  file.metadata["torch_version"] = TORCH_VERSION;
  file.metadata["config"] = config::to_yaml(config::Fields::of(config));
  file.metadata["step"] = std::to_string(info.step);
  file.metadata["samples"] = std::to_string(info.samples);
  if (!info.changes.empty()) file.metadata["changes"] = io::nested_json_text(nlohmann::json(info.changes));
  file.metadata["classes"] = std::to_string(info.classes);
  file.metadata["class_names"] = io::nested_json_text(nlohmann::json(info.class_names));
  file.metadata["data"] = info.data;
  if (info.latents) file.metadata["latents"] = io::nested_json_text(nlohmann::json(data::to_metadata(*info.latents)));
  file.metadata["labels_read"] = info.labels_read ? "yes" : "no";
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) file.metadata[key] = value;
  };
  set("pseudo_labels_from", info.pseudo_labels_from);
  set("pseudo_labels_free", info.pseudo_labels_free);
  set("initial_weights", info.initial_weights);
  set("conditions", info.conditions);
  if (info.order != data::OrderKind::kSorted) file.metadata["data_order"] = config::name(info.order);
  if (info.fingerprint.known()) file.metadata["data_fingerprint"] = data::to_text(info.fingerprint);
  if (!info.provenance.empty()) file.metadata[kProvenanceKey] = to_json(info.provenance);
  if (info.initial_class_conditional) file.metadata["initial_class_conditional"] = "yes";
}

CheckpointInfo parse_info(const tensors::TensorFile& file, const std::string& where) {
  const auto get = [&](const std::string& key) {
    const auto found = file.metadata.find(key);
    SDG_CHECK(found != file.metadata.end(), where, ": not an sdg checkpoint: no metadata `", key, "`");
    return found->second;
  };
  SDG_CHECK(get("format") == kFormat || get("format") == kFormatWithoutChecksum, where, ": checkpoint format ",
            get("format"), ", this program reads ", kFormat, " and ", kFormatWithoutChecksum);
  CheckpointInfo info;
  try {
    info.config = recipe::parse_config(get("config"), where);
    info.step = std::stoll(get("step"));
    // Checkpoints of before say nothing: until then no run could change its batch.
    info.samples = file.metadata.contains("samples") ? std::stoll(get("samples")) : info.step * info.config.train.batch;
    if (file.metadata.contains("changes"))
      info.changes = nlohmann::json::parse(get("changes")).get<std::vector<std::string>>();
    for (auto& change : info.changes) change = from_utf8(change);
    info.classes = std::stoll(get("classes"));
    info.class_names = nlohmann::json::parse(get("class_names")).get<std::vector<std::string>>();
    for (auto& name : info.class_names) name = from_utf8(name);
    if (const auto latents = file.metadata.find("latents"); latents != file.metadata.end()) {
      auto card = nlohmann::json::parse(latents->second).get<std::map<std::string, std::string>>();
      for (auto& [key, text] : card) text = from_utf8(text);
      info.latents = data::parse_latent_card(card, where);
    }
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(cat(where, ": malformed metadata: ", error.what()));
  }
  info.data = get("data");
  info.labels_read = get("labels_read") == "yes";
  const auto optional = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  info.pseudo_labels_from = optional("pseudo_labels_from");
  info.pseudo_labels_free = optional("pseudo_labels_free");
  info.initial_weights = optional("initial_weights");
  info.initial_class_conditional = optional("initial_class_conditional") == "yes";
  info.conditions = optional("conditions");
  if (const auto text = optional("data_order"); !text.empty()) info.order = data::parse_order_kind(text, where);
  if (const auto text = optional("data_fingerprint"); !text.empty())
    info.fingerprint = data::parse_fingerprint(text, where);
  info.provenance = parse_provenance(file.metadata, where);
  info.converted = !optional("converted_from").empty();
  return info;
}

Trained load_trained(const std::filesystem::path& checkpoint, const at::Device& device, Weights weights) {
  const auto file = read_checkpoint(checkpoint);
  Trained trained;
  trained.path = checkpoint.string();
  trained.info = parse_info(file, trained.path);
  const auto prediction = file.metadata.find("prediction");
  const auto taken_for = config::name(trained.info.config.model.prediction);
  SDG_CHECK(prediction == file.metadata.end() || prediction->second == taken_for, trained.path,
            ": this network predicts ", prediction == file.metadata.end() ? "" : prediction->second,
            ", and its configuration takes that for ", taken_for, " (model.prediction)");
  {
    const nn::WithoutInitialValues all_come_from_the_file;
    trained.network = network::build_network(trained.info.config, trained.info.classes, device,
                                             stored_conditions(file, trained.path));
  }
  const auto part = cat(config::name(weights), ".");
  const auto first = file.tensors.lower_bound(part);
  SDG_CHECK(first != file.tensors.end() && first->first.starts_with(part), trained.path, ": holds no ",
            weights == Weights::kModel ? "raw weights (model), only their average (ema)" : "average of weights (ema)");
  trained.network.adopt(file.tensors, part, trained.path);
  trained.network.check_finite(part, trained.path);
  trained.network.set_training(false);
  for (auto& parameter : trained.network.model->parameters()) parameter.requires_grad_(false);
  if (trained.network.head) {
    for (auto& parameter : trained.network.head->parameters()) parameter.requires_grad_(false);
  }
  if (trained.network.head && file.metadata.contains("rest_step"))
    trained.network.rested = file.at("kept_clusters", trained.path);
  const auto prior = file.tensors.find("prior");
  const auto change = file.metadata.find("change_step");
  const auto conditions_from =
      change == file.metadata.end() ? network::change_step(trained.info.config) : std::stoll(change->second);
  if (trained.network.stored && trained.info.step > conditions_from)
    trained.prior = cluster::label_prior(trained.network.stored->frequencies());
  if (prior != file.tensors.end() && trained.info.step > conditions_from) {
    trained.prior = cluster::label_prior(prior->second);
    if (network::patch_level(trained.info.config)) {
      const auto seen = std::stoll(file.metadata.at("maps_seen"));
      const auto& maps = file.at("maps", trained.path);
      trained.prior = maps.slice(0, 0, std::min<int64_t>(maps.size(0), seen)).to(at::kLong);
    }
  }
  return trained;
}

}  // namespace sdg::checkpoint
