// Folders of weights, and files that are split over several.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string_view>
#include <tuple>

#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/io/random_access_file.h"
#include "sdg/tensors/tensor_file.h"
#include "tensors/weights_impl.h"

namespace sdg::tensors {
namespace {
namespace fs = std::filesystem;

constexpr uint64_t kMaxIndex = 100'000'000;  // bytes
// What diffusers and transformers call the one file of a folder, in order of preference.
constexpr std::array<std::string_view, 3> kStems = {"diffusion_pytorch_model", "model", "pytorch_model"};
constexpr std::array<std::string_view, 4> kTorchEndings = {".bin", ".pt", ".pth", ".ckpt"};

struct Candidate {
  std::string name, stem, variant;  // "diffusion_pytorch_model.fp16.safetensors": variant fp16
  int container = 0;                // 0 safetensors, 1 their index, 2 a torch file, 3 the index of several

  bool known() const { return std::find(kStems.begin(), kStems.end(), stem) != kStems.end(); }
  auto rank() const {
    const int precision = variant.empty() || variant == "fp32" ? 0 : variant == "fp16" || variant == "bf16" ? 1 : 2;
    const bool torch = container >= 2;
    return std::tuple(torch, precision, container, std::find(kStems.begin(), kStems.end(), stem) - kStems.begin(),
                      name);
  }
};

bool take_ending(std::string& text, std::string_view ending) {
  if (!text.ends_with(ending)) return false;
  text.resize(text.size() - ending.size());
  return true;
}

// "model.safetensors.index.json" and, of a variant, "model.safetensors.index.fp16.json"
bool take_index(std::string& text, std::string_view container, std::string& variant) {
  const auto at = text.rfind(std::string(container) + ".index.");
  if (at == std::string::npos || !take_ending(text, ".json")) return false;
  const auto after = at + container.size() + std::string_view(".index").size();
  if (after < text.size()) variant = text.substr(after + 1);
  text.resize(at);
  return true;
}

std::optional<Candidate> candidate(const std::string& name) {
  Candidate out{name, name, "", 0};
  if (take_index(out.stem, ".safetensors", out.variant)) {
    out.container = 1;
  } else if (take_index(out.stem, ".bin", out.variant)) {
    out.container = 3;
  } else if (!take_ending(out.stem, ".safetensors")) {
    out.container = 2;
    const bool torch = std::any_of(kTorchEndings.begin(), kTorchEndings.end(),
                                   [&](const auto& ending) { return take_ending(out.stem, ending); });
    if (!torch) return std::nullopt;
  }
  for (const auto stem : kStems) {
    if (!out.stem.starts_with(std::string(stem) + ".")) continue;
    out.variant = out.stem.substr(stem.size() + 1);
    out.stem = stem;
    break;
  }
  return out;
}

// "model-00001-of-00002.safetensors": named by an index, never alone.
bool is_shard(const std::string& name) {
  const auto of = name.find("-of-");
  return of != std::string::npos && of > 0 && std::isdigit(static_cast<unsigned char>(name[of - 1]));
}

std::vector<std::string> subfolders_with_weights(const fs::path& folder) {
  std::vector<std::string> out;
  for (const auto& item : fs::directory_iterator(folder)) {
    if (!item.is_directory()) continue;
    for (const auto& file : fs::directory_iterator(item.path())) {
      if (!candidate(file.path().filename().string())) continue;
      out.push_back(item.path().filename().string());
      break;
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

Weights read_shard(const fs::path& path) {
  const io::RandomAccessFile file(path);
  std::string start(std::min<uint64_t>(file.size(), 1024), '\0');
  file.read_into(0, std::as_writable_bytes(std::span(start)));
  if (looks_like_zip(start) || looks_like_legacy_torch(start)) return read_torch(path, "", path.string());
  Weights out;
  auto read = read_tensors(path);
  out.tensors = std::move(read.tensors);
  out.metadata = std::move(read.metadata);
  out.unread = std::move(read.unread);
  return out;
}

void append_shard(Weights& out, const fs::path& path, const std::string& where) {
  auto shard = read_shard(path);
  for (auto& [name, tensor] : shard.tensors)
    SDG_CHECK(out.tensors.emplace(name, tensor).second, where, ": tensor '", name, "' is in two shards");
  out.metadata.merge(shard.metadata);
  out.unread.merge(shard.unread);
  if (shard.format.starts_with("torch")) out.format = "torch shards";
}

}  // namespace

Weights read_index(const fs::path& path, const std::string& where) {
  const io::RandomAccessFile file(path);
  SDG_CHECK(file.size() <= kMaxIndex, where, ": an index has at most ", kMaxIndex, " bytes, this has ", file.size());
  const auto bytes = file.read(0, file.size());
  nlohmann::json index;
  try {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    index = nlohmann::json::parse(text, text + bytes.size());
  } catch (const nlohmann::json::exception& error) {
    throw Error(cat(where, ": not valid JSON: ", error.what()));
  }
  SDG_CHECK(index.is_object() && index.contains("weight_map") && index["weight_map"].is_object(), where,
            ": an index of shards must hold an object weight_map");
  std::set<std::string> names, shards;
  for (const auto& [name, shard] : index["weight_map"].items()) {
    SDG_CHECK(shard.is_string(), where, ": weight_map must name files, got ", shard.type_name(), " for '", name, "'");
    const auto text = shard.get<std::string>();
    SDG_CHECK(fs::path(text).filename() == text && text != "..", where, ": shards lie beside their index, got \"", text,
              "\"");
    names.insert(name);
    shards.insert(text);
  }
  Weights out;
  out.format = "safetensors shards";
  for (const auto& shard : shards) append_shard(out, path.parent_path() / shard, where);
  for (const auto& name : names)
    SDG_CHECK(out.tensors.contains(name) || out.unread.contains(name), where, ": tensor '", name,
              "' is in none of the shards");
  for (const auto& [name, unused] : out.tensors)
    SDG_CHECK(names.contains(name), where, ": the shards hold tensor '", name, "', which the index does not name");
  return out;
}

fs::path choose_weights_file(const fs::path& folder, std::vector<std::string>& passed_over) {
  std::vector<Candidate> all;
  for (const auto& item : fs::directory_iterator(folder)) {
    const auto name = item.path().filename().string();
    const auto found = item.is_regular_file() && !is_shard(name) ? candidate(name) : std::nullopt;
    if (found) all.push_back(*found);
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.rank() < b.rank(); });
  auto best = std::find_if(all.begin(), all.end(), [](const auto& one) { return one.known(); });
  if (best == all.end())
    best = std::find_if(all.begin(), all.end(), [](const auto& one) { return one.name == "nnet_ema.pth"; });
  if (best == all.end()) {
    const auto of_kind = [&](int container) {
      return std::count_if(all.begin(), all.end(), [&](const auto& one) { return one.container == container; });
    };
    const bool only =
        all.size() == 1 || (!all.empty() && of_kind(all.front().container) == 1 && all.front().container < 2);
    if (only) best = all.begin();
  }
  if (best == all.end()) {
    std::vector<std::string> names;
    for (const auto& one : all) names.push_back(one.name);
    const auto below = subfolders_with_weights(folder);
    std::string there = names.empty() ? "it has none" : cat("it has ", join_first(names));
    if (!below.empty()) there += cat(", and folders with weights: ", join_first(below));
    throw Error(cat(folder.string(),
                    ": a folder must hold one file of weights, or diffusion_pytorch_model.safetensors, "
                    "model.safetensors, their index of shards or nnet_ema.pth; ",
                    there, "; name the file instead"));
  }
  for (const auto& one : all)
    if (one.name != best->name) passed_over.push_back(one.name);
  return folder / best->name;
}

}  // namespace sdg::tensors
