#include <cstdio>

#include "cli/command.h"
#include "io/json_impl.h"
#include "sdg/convert/convert.h"
#include "sdg/core/error.h"
#include "sdg/model/autoencoder_kl.h"
#include "sdg/model/find_network.h"
#include "sdg/model/taesd.h"
#include "sdg/network/guidance_ways.h"
#include "sdg/tensors/verify.h"
#include "sdg/tensors/weights.h"

namespace sdg::cli {
namespace {

struct Arguments {
  std::string file, entry, family;
  bool json = false, verify = false;
};

constexpr const char* kExamples =
    "  sdg inspect DiT-XL-2-256x256.pt                  tensors, shapes, and which network they are\n"
    "  sdg inspect 0050000.pt --entry opt               another part of the file\n"
    "  sdg inspect runs/digits/checkpoints/last.safetensors --json\n"
    "  sdg inspect runs/digits/checkpoints/last.safetensors --verify    is every bit what was written?\n";

constexpr size_t kMetadataShown = 200;  // characters of one value

std::string dtype_name(const Tensor& tensor) {
  const std::string name = c10::toString(tensor.scalar_type());
  static const std::map<std::string, std::string> kNames = {
      {"Float", "float32"}, {"Double", "float64"}, {"Half", "float16"}, {"BFloat16", "bfloat16"}, {"Long", "int64"},
      {"Int", "int32"},     {"Short", "int16"},    {"Char", "int8"},    {"Byte", "uint8"},        {"Bool", "bool"}};
  const auto found = kNames.find(name);
  return found == kNames.end() ? name : found->second;
}

// How images of this checkpoint can be guided; nothing of files that are none of ours.
nlohmann::ordered_json guidance(const tensors::Weights& weights) {
  auto out = nlohmann::ordered_json::array();
  const auto& said = weights.metadata;
  if (!said.contains("config") || !said.contains("step")) return out;
  const auto config = recipe::parse_config(said.at("config"), weights.file.string());
  const auto change = said.find("change_step");
  const bool conditioned = config.condition.source != recipe::Source::kNone &&
                           (change == said.end() || std::stoll(said.at("step")) > std::stoll(change->second));
  for (const auto& way : network::ways_to_guide(config, conditioned))
    out.push_back({{"how", way.how}, {"calls", way.calls}});
  return out;
}

nlohmann::ordered_json report(const tensors::Weights& weights, const model::FoundNetwork& place,
                              const std::optional<model::Recognised>& network) {
  nlohmann::ordered_json out;
  out["file"] = weights.file.filename().string();
  out["format"] = weights.format;
  out["entry"] = weights.entry;
  out["entries"] = weights.entries;
  auto& others = out["others"] = nlohmann::ordered_json::array();
  for (const auto& part : weights.others) others.push_back({{"entry", part.entry}, {"tensors", part.tensors}});
  out["stripped"] = weights.stripped;
  out["prefix"] = place.prefix;
  out["prefixes"] = place.others;
  out["choice"] = convert::chosen_notes(weights, place);
  out["metadata"] = weights.metadata;
  int64_t elements = 0, bytes = 0;
  auto& tensors = out["tensors"] = nlohmann::ordered_json::array();
  for (const auto& [name, tensor] : weights.tensors) {
    tensors.push_back({{"name", name}, {"dtype", dtype_name(tensor)}, {"shape", tensor.sizes().vec()}});
    elements += tensor.numel();
    bytes += static_cast<int64_t>(tensor.nbytes());
  }
  out["elements"] = elements;
  out["guidance"] = guidance(weights);
  out["bytes"] = bytes;
  if (!network) {
    out["network"] = nullptr;
    const char* kind = model::is_taesd(weights.tensors) ? "taesd" : model::is_kl(weights.tensors) ? "kl" : nullptr;
    if (kind) out["autoencoder"] = kind;
    if (!kind) out["nearest"] = model::nearest_network(place.tensors);
    return out;
  }
  out["network"] = {{"families", network->candidates},
                    {"preset", network->options.name},
                    {"size", network->shape.size},
                    {"channels", network->shape.channels},
                    {"condition", config::name(network->shape.condition)},
                    {"classes", network->shape.classes},
                    {"learn_sigma", network->options.learn_sigma},
                    {"layout", config::name(network->options.layout)},
                    {"clusters", network->head ? network->head->clusters : 0},
                    {"missing", network->missing},
                    {"unexpected", network->unexpected},
                    {"misshapen", network->misshapen},
                    {"notes", network->notes}};
  if (!network->heads_known) {
    out["network"]["notes"].push_back(
        "no preset has this width and depth, and weights do not say how many attention heads there are: convert needs "
        "--set model.heads=N");
  }
  return out;
}

std::string join(const nlohmann::ordered_json& names, const char* between = ", ") {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : between) + name.get<std::string>();
  return out;
}

void print(const std::string& file, const nlohmann::ordered_json& all) {
  const auto entry = all["entry"].get<std::string>();
  std::printf("%s: %s", file.c_str(), all["format"].get<std::string>().c_str());
  if (!entry.empty()) std::printf(", entry %s", entry.c_str());
  if (!all["entries"].empty()) std::printf(" (of %s)", join(all["entries"]).c_str());
  const auto stripped = all["stripped"].get<std::string>();
  if (!stripped.empty()) std::printf(", without \"%s\"", stripped.c_str());
  std::printf("\n");
  for (const auto& [key, value] : all["metadata"].items()) {
    auto text = value.get<std::string>();
    if (text.size() > kMetadataShown) text = text.substr(0, kMetadataShown) + " ...";
    for (auto& c : text)
      if (c == '\n') c = ' ';
    std::printf("  %s: %s\n", key.c_str(), text.c_str());
  }
  for (const auto& tensor : all["tensors"]) {
    std::printf("  %-9s %-24s %s\n", tensor["dtype"].get<std::string>().c_str(), tensor["shape"].dump().c_str(),
                tensor["name"].get<std::string>().c_str());
  }
  std::printf("%zu tensors, %lld elements, %lld bytes\n", all["tensors"].size(), all["elements"].get<long long>(),
              all["bytes"].get<long long>());
  if (all.contains("checksum")) std::printf("checksum: %s\n", all["checksum"].get<std::string>().c_str());
  for (const auto& line : all["choice"]) std::printf("choice: %s\n", line.get<std::string>().c_str());
  for (const auto& way : all["guidance"]) {
    const auto calls = way["calls"].get<int64_t>();
    std::printf("guidance: %s (%lld network %s an evaluation)\n", way["how"].get<std::string>().c_str(),
                static_cast<long long>(calls), calls == 1 ? "call" : "calls");
  }
  const auto& network = all["network"];
  if (network.is_null()) {
    const auto kind = all.value("autoencoder", std::string());
    std::printf("network: %s\n",
                kind.empty()
                    ? "none that is known here"
                    : cat("autoencoder of the kind ", kind, ", for sdg encode and sdg decode --autoencoder").c_str());
    if (all.contains("nearest")) std::printf("  %s\n", all["nearest"].get<std::string>().c_str());
    return;
  }
  std::printf("network: %s (%s), %lld channels of side %lld, condition %s",
              network["preset"].get<std::string>().c_str(), join(network["families"], " or ").c_str(),
              network["channels"].get<long long>(), network["size"].get<long long>(),
              network["condition"].get<std::string>().c_str());
  if (network["classes"].get<int64_t>() > 0) std::printf(", %lld classes", network["classes"].get<long long>());
  if (network["clusters"].get<int64_t>() > 0) std::printf(", %lld prototypes", network["clusters"].get<long long>());
  std::printf("\n");
  for (const char* what : {"missing", "unexpected", "misshapen", "notes"})
    for (const auto& line : network[what]) std::printf("  %s: %s\n", what, line.get<std::string>().c_str());
}

int execute(const Arguments& arguments) {
  SDG_CHECK(!arguments.verify || tensors::verify_tensors(arguments.file), arguments.file,
            ": has no checksum to be compared with: it is from another program or from before sdg-checkpoint-2");
  const auto weights = tensors::read_weights(arguments.file, arguments.entry);
  const auto family = arguments.family.empty() ? convert::family_hint(weights) : arguments.family;
  const auto place = model::find_network(weights.tensors);
  auto all = report(weights, place, model::recognise(place.tensors, family));
  if (arguments.verify) all["checksum"] = "sound";
  if (arguments.json) {
    std::printf("%s\n", io::json_text(all).c_str());
  } else {
    print(arguments.file, all);
  }
  return 0;
}

}  // namespace

Command inspect_command() {
  return {
      "inspect", "What is in a file of weights, and which network it is.", kExamples, [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        app.add_option("file", arguments->file,
                       "safetensors (also an index of shards), a torch file (.pt, .pth, .th), npz, or a folder")
            ->required()
            ->type_name("FILE");
        app.add_option(
               "--entry", arguments->entry,
               "part of the file: ema, model, opt, ...; default: an average (ema), else model or state_dict, else all")
            ->type_name("NAME");
        app.add_option("--as", arguments->family, "decide between networks with the same tensors: dit or sit")
            ->type_name("FAMILY");
        app.add_flag("--json", arguments->json, "one JSON object instead of a listing");
        app.add_flag("--verify", arguments->verify,
                     "read the whole file and compare it with the checksum in it; a checkpoint without one fails");
        return [arguments] { return execute(*arguments); };
      }};
}

}  // namespace sdg::cli
