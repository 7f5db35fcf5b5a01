#include "sdg/tensors/weights.h"
#include "sdg/io/file_kind.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <span>

#include "io/posix_impl.h"
#include "io/zip_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/text.h"
#include "sdg/io/random_access_file.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/torch_file.h"
#include "tensors/weights_impl.h"

namespace sdg::tensors {
namespace {
namespace fs = std::filesystem;

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
            groups.empty() ? "none" : join(groups));
  for (const std::string other : {"ema", "model"}) {
    const auto count = std::count_if(out.tensors.begin(), out.tensors.end(),
                                     [&](const auto& item) { return item.first.starts_with(other + "."); });
    if (has_parts && other != out.entry && count > 0) out.others.push_back({other, count});
  }
  out.tensors = std::move(chosen);
  std::map<std::string, std::string> unread;
  for (const auto& [name, why] : out.unread)
    if (name.starts_with(prefix)) unread.emplace(name.substr(prefix.size()), why);
  out.unread = std::move(unread);
}

std::string first_bytes(const io::RandomAccessFile& file) {
  std::string out(std::min<uint64_t>(file.size(), 1024), '\0');
  file.read_into(0, std::as_writable_bytes(std::span(out)));
  return out;
}

// The length of the header comes first, and its lowest byte may be that of '{'.
bool looks_like_safetensors(std::string_view start) {
  constexpr uint64_t kMaxHeader = 100'000'000;  // bytes; eight characters of JSON are more than that
  if (start.size() < 9 || start[8] != '{') return false;
  uint64_t length = 0;
  std::memcpy(&length, start.data(), sizeof length);
  return length <= kMaxHeader;
}

// Which of the two kinds of zips: numpy.savez's.
bool holds_arrays(const fs::path& path) {
  const io::MappedFile file(path);
  bool found = false;
  for (const auto& member : io::zip_members(file.bytes(), path.string())) {
    if (member.name == "data.pkl" || member.name.ends_with("/data.pkl")) return false;
    found = found || member.name.ends_with(".npy");
  }
  return found;
}

Weights read_file(const fs::path& path, const std::string& entry) {
  const auto where = path.string();
  const io::RandomAccessFile file(path);
  const auto start = first_bytes(file);
  const bool pickled = looks_like_legacy_torch(start) || (looks_like_pickle(start) && !looks_like_safetensors(start));
  if (pickled || (looks_like_zip(start) && !holds_arrays(path))) return read_torch(path, entry, where);
  Weights out;
  if (looks_like_zip(start)) {
    out.format = "npz";
    out.tensors = read_npz(path, {}, &out.unread);
  } else if (start.starts_with('{') && !looks_like_safetensors(start)) {
    out = read_index(path, where);
  } else {
    SDG_CHECK(looks_like_safetensors(start), where,
              ": none of safetensors, a torch file (zip or legacy), a pickle, an index of shards, npz",
              io::what_it_is(start, file.size()));
    out.format = "safetensors";
    auto read = read_tensors(path);
    out.tensors = std::move(read.tensors);
    out.metadata = std::move(read.metadata);
    out.unread = std::move(read.unread);
  }
  choose_flat(out, entry, where);
  return out;
}

// The file that a folder means, and what of it was asked for.
fs::path resolve_folder(const fs::path& folder, std::string& entry, std::vector<std::string>& passed_over) {
  auto chosen = choose_weights_file(folder, passed_over);
  const bool sgfm = chosen.filename() == "nnet_ema.pth" && fs::is_regular_file(folder / "nnet.pth");
  if (!sgfm) return chosen;
  SDG_CHECK(entry.empty() || entry == "ema" || entry == "model", folder.string(), ": has no entry ", entry,
            "; it has ema, model");
  if (entry == "model") chosen = folder / "nnet.pth";
  entry.clear();
  return chosen;
}

}  // namespace

Weights read_weights(const fs::path& path, const std::string& entry) {
  auto asked = entry;
  std::vector<std::string> passed_over;
  const auto file = fs::is_directory(path) ? resolve_folder(path, asked, passed_over) : path;
  auto out = read_file(file, asked);
  out.file = file;
  if (out.entry.empty()) out.entry = entry;
  SDG_CHECK(!out.tensors.empty(), file.string(), ": ", out.entry.empty() ? "it" : cat("its entry ", out.entry),
            out.unread.empty() ? " holds no tensors"
                               : cat(" holds no tensor that can be read: ", out.unread.begin()->first, " ",
                                     out.unread.begin()->second),
            out.entries.empty() ? "" : cat("; it has ", join_first(out.entries, 20)));
  if (!out.unread.empty()) {
    std::vector<std::string> each;
    for (const auto& [name, why] : out.unread) each.push_back(cat("'", name, "' ", why));
    log::warning(cat(file.string(), ": ", each.size(), " tensor", each.size() > 1 ? "s" : "", " cannot be read; ",
                     join_first(each)));
  }
  out.stripped = strip_wrappers(out.tensors, out.notes);
  if (!passed_over.empty())
    out.notes.push_back(cat("took ", file.filename().string(), "; the folder also has ", join_first(passed_over)));
  return out;
}

}  // namespace sdg::tensors
