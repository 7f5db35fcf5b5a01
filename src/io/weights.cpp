#include "sdg/io/weights.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "sdg/core/error.h"
#include "sdg/io/npz.h"
#include "sdg/io/random_access_file.h"
#include "sdg/io/tensor_file.h"
#include "sdg/io/torch_file.h"

namespace sdg::io {
namespace {
namespace fs = std::filesystem;

constexpr std::array<const char*, 4> kUsualEntries = {"ema", "model", "state_dict", "model_state_dict"};
constexpr size_t kMaxDepth = 32, kMaxSteps = 4'000'000, kMaxTensors = 100'000, kMaxMetadata = 10'000;
constexpr size_t kMaxName = 1000, kMaxText = 10'000;  // characters; a text may stand in any number of places
constexpr uint64_t kMaxIndex = 100'000'000;           // bytes
constexpr const char* kIndexName = "model.safetensors.index.json";

std::string list(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out.empty() ? "none" : out;
}

// --- torch files

// Walks a value's tensors and plain values; a value may hold itself, so the depth is bounded, and so is the number.
struct Walk {
  const TorchFile& file;
  const std::string& where;
  Weights& out;
  size_t steps = 0;

  void count(size_t depth) {
    SDG_CHECK(depth <= kMaxDepth, where, ": its dictionaries are nested more than ", kMaxDepth, " deep");
    SDG_CHECK(++steps <= kMaxSteps, where, ": holds more than ", kMaxSteps, " values");
  }
  std::string inner(const std::string& name, const std::string& key) const {
    SDG_CHECK(name.size() + key.size() < kMaxName, where, ": a name has more than ", kMaxName, " characters");
    return name.empty() ? key : cat(name, ".", key);
  }

  void tensors(const TorchValue& value, const std::string& name, size_t depth = 0) {
    count(depth);
    if (const auto* stored = value.get<StoredTensor>()) {
      const bool is_new = out.tensors.emplace(name.empty() ? "tensor" : name, file.tensor(*stored)).second;
      SDG_CHECK(is_new, where, ": tensor '", name, "' comes twice");
      SDG_CHECK(out.tensors.size() <= kMaxTensors, where, ": holds more than ", kMaxTensors, " tensors");
    } else if (const auto* dict = value.get<TorchValue::Dict>()) {
      for (const auto& [key, item] : dict->items) tensors(*item, inner(name, key), depth + 1);
    } else if (const auto* items = value.get<TorchValue::List>()) {
      for (size_t i = 0; i < items->size(); ++i) tensors(*(*items)[i], inner(name, std::to_string(i)), depth + 1);
    }
  }

  void metadata(const TorchValue& value, const std::string& name, size_t depth = 0) {
    count(depth);
    if (out.metadata.size() >= kMaxMetadata) return;
    if (const auto* dict = value.get<TorchValue::Dict>()) {
      for (const auto& [key, item] : dict->items) metadata(*item, inner(name, key), depth + 1);
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

bool holds_tensors(const TorchValue& value) {
  const auto* dict = value.get<TorchValue::Dict>();
  return dict && std::any_of(dict->items.begin(), dict->items.end(),
                             [](const auto& item) { return item.second->template get<StoredTensor>() != nullptr; });
}

const TorchValue& descend(const TorchValue& root, const std::string& entry, const Weights& out,
                          const std::string& where) {
  const TorchValue* at = &root;
  for (size_t from = 0; from <= entry.size();) {
    const auto dot = std::min(entry.find('.', from), entry.size());
    at = at->find(entry.substr(from, dot - from));
    SDG_CHECK(at != nullptr, where, ": has no entry ", entry, "; it has ", list(out.entries));
    from = dot + 1;
  }
  return *at;
}

Weights from_torch(const fs::path& path, const std::string& entry, const std::string& where) {
  const TorchFile file(path);
  Weights out;
  out.format = file.is_legacy() ? "torch legacy" : "torch zip";
  const TorchValue& root = file.root();
  if (const auto* dict = root.get<TorchValue::Dict>()) {
    for (const auto& [key, value] : dict->items) {
      const bool is_part = value->get<TorchValue::Dict>() || value->get<TorchValue::List>();
      if (is_part && out.entries.size() < 1000) out.entries.push_back(key);
    }
  }
  out.entry = entry;
  if (entry.empty() && !holds_tensors(root)) {
    for (const char* name : kUsualEntries) {
      const auto* part = root.find(name);
      if (!part || !part->get<TorchValue::Dict>()) continue;
      out.entry = name;
      break;
    }
  }
  const TorchValue& chosen = out.entry.empty() ? root : descend(root, out.entry, out, where);
  Walk walk{file, where, out};
  walk.metadata(root, "");
  walk.steps = 0;
  walk.tensors(chosen, "");
  return out;
}

// --- flat files

// Our own checkpoints, and others that put "ema." and "model." before the names.
void choose_flat(Weights& out, const std::string& entry, const std::string& where) {
  std::set<std::string> groups;
  for (const auto& [name, unused] : out.tensors) {
    const auto dot = name.find('.');
    if (dot != std::string::npos) groups.insert(name.substr(0, dot));
  }
  const bool ours = out.metadata.contains("format") && out.metadata.at("format").starts_with("sdg-checkpoint");
  const bool has_parts = ours || (groups.contains("ema") && groups.contains("model"));
  if (has_parts) out.entries.assign(groups.begin(), groups.end());
  out.entry = entry;
  if (entry.empty() && has_parts) out.entry = groups.contains("ema") ? "ema" : "model";
  if (out.entry.empty()) return;
  std::map<std::string, Tensor> chosen;
  const auto prefix = out.entry + ".";
  for (const auto& [name, tensor] : out.tensors)
    if (name.starts_with(prefix)) chosen.emplace(name.substr(prefix.size()), tensor);
  SDG_CHECK(!chosen.empty(), where, ": has no entry ", out.entry, "; its names begin with ",
            list({groups.begin(), groups.end()}));
  out.tensors = std::move(chosen);
}

void append_shard(Weights& out, const fs::path& path, const std::string& where) {
  auto shard = read_tensors(path);
  for (auto& [name, tensor] : shard.tensors)
    SDG_CHECK(out.tensors.emplace(name, tensor).second, where, ": tensor '", name, "' is in two shards");
  out.metadata.merge(shard.metadata);
}

// {"metadata": {…}, "weight_map": {tensor: file}}; the files lie beside the index.
Weights from_index(const fs::path& path, const std::string& where) {
  const RandomAccessFile file(path);
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
    SDG_CHECK(out.tensors.contains(name), where, ": tensor '", name, "' is in none of the shards");
  for (const auto& [name, unused] : out.tensors)
    SDG_CHECK(names.contains(name), where, ": the shards hold tensor '", name, "', which the index does not name");
  return out;
}

std::string strip_common(std::map<std::string, Tensor>& tensors) {
  std::string stripped;
  for (bool again = true; again && !tensors.empty();) {
    again = false;
    for (const std::string prefix : {"module.", "_orig_mod."}) {
      const bool everywhere =
          std::all_of(tensors.begin(), tensors.end(), [&](const auto& item) { return item.first.starts_with(prefix); });
      if (!everywhere) continue;
      std::map<std::string, Tensor> shorter;
      for (auto& [name, tensor] : tensors) shorter.emplace(name.substr(prefix.size()), tensor);
      tensors = std::move(shorter);
      stripped += prefix;
      again = true;
      break;
    }
  }
  return stripped;
}

// The file that a folder means, and what of it was asked for.
fs::path resolve_folder(const fs::path& folder, std::string& entry) {
  if (fs::is_regular_file(folder / kIndexName)) return folder / kIndexName;
  const bool wants_raw = entry == "model";
  if (const auto name = folder / (wants_raw ? "nnet.pth" : "nnet_ema.pth"); fs::is_regular_file(name)) {
    SDG_CHECK(entry.empty() || entry == "ema" || entry == "model", folder.string(), ": has no entry ", entry,
              "; it has ema, model");
    entry.clear();
    return name;
  }
  std::vector<fs::path> found;
  for (const auto& item : fs::directory_iterator(folder))
    if (item.path().extension() == ".safetensors") found.push_back(item.path());
  SDG_CHECK(found.size() == 1, folder.string(), ": a folder must hold ", kIndexName,
            ", one safetensors file or nnet_ema.pth; name the file instead");
  return found.front();
}

std::string first_bytes(const fs::path& path) {
  const RandomAccessFile file(path);
  std::string out(std::min<uint64_t>(file.size(), 1024), '\0');
  file.read_into(0, std::as_writable_bytes(std::span(out)));
  return out;
}

Weights read_file(const fs::path& path, const std::string& entry) {
  const auto where = path.string();
  const auto start = first_bytes(path);
  if (looks_like_legacy_torch(start)) return from_torch(path, entry, where);
  if (looks_like_zip(start)) {
    const auto name_size =
        start.size() < 30 ? 0 : static_cast<uint8_t>(start[26]) + 256 * static_cast<uint8_t>(start[27]);
    const bool is_npz = start.size() > 30 && start.substr(30, name_size).ends_with(".npy");
    if (!is_npz) return from_torch(path, entry, where);
  }
  Weights out;
  if (looks_like_zip(start)) {
    out.format = "npz";
    out.tensors = read_npz(path);
  } else if (start.starts_with("{")) {
    out = from_index(path, where);
  } else {
    SDG_CHECK(start.size() >= 9 && start[8] == '{', where,
              ": none of safetensors, a torch file (zip or legacy), an index of shards, npz");
    out.format = "safetensors";
    auto file = read_tensors(path);
    out.tensors = std::move(file.tensors);
    out.metadata = std::move(file.metadata);
  }
  choose_flat(out, entry, where);
  return out;
}

}  // namespace

Weights read_weights(const fs::path& path, const std::string& entry) {
  auto asked = entry;
  const auto file = fs::is_directory(path) ? resolve_folder(path, asked) : path;
  auto out = read_file(file, asked);
  if (out.entry.empty()) out.entry = entry;
  SDG_CHECK(!out.tensors.empty(), file.string(), ": ", out.entry.empty() ? "it" : cat("its entry ", out.entry),
            " holds no tensors", out.entries.empty() ? "" : cat("; it has ", list(out.entries)));
  out.stripped = strip_common(out.tensors);
  return out;
}

}  // namespace sdg::io
