#pragma once
// The pieces of read_weights: torch files, folders and shards, names.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sdg/tensors/torch_file.h"
#include "sdg/tensors/weights.h"

namespace sdg::tensors {

/// Is this the name of an optimizer's, scheduler's or random generator's state, which holds tensors but no network?
bool names_bookkeeping(const std::string& name);
/// Position in the list of usual names of a network ("model", "state_dict", …), or its length.
size_t usual_rank(const std::string& name);

/// Takes out of the names what wrappers put into them; counters of averages (n_averaged) leave the tensors and are
/// named in `notes`. What was taken out comes back.
std::string strip_wrappers(std::map<std::string, Tensor>& tensors, std::vector<std::string>& notes);

Weights read_torch(const std::filesystem::path& path, const std::string& entry, const std::string& where);
/// {"metadata": {…}, "weight_map": {tensor: file}}; the files lie beside the index.
Weights read_index(const std::filesystem::path& path, const std::string& where);

/// A part of a torch file.
struct TorchPart {
  std::string path;  ///< as `entry` takes it; "" for the whole file
  const TorchValue* value = nullptr;
  int64_t tensors = 0;  ///< in it, however deep, without bookkeeping

  bool is_list() const { return value->get<TorchValue::List>() != nullptr; }
};

/// The dictionaries and lists that may be networks, in file order, not below one another's tensors.
std::vector<TorchPart> torch_parts(const TorchValue& root);
/// Of those the ones with at least half as many tensors as the largest (or as lie beside them at the top).
std::vector<TorchPart> comparable_parts(const TorchValue& root, const std::vector<TorchPart>& parts);

/// Names of a list's tensors by the dictionary `names`, of which it has the parameters in order: nothing where shapes
/// allow no reading or several.
std::optional<std::vector<std::string>> names_of_list(const TorchValue::List& list, const TorchValue::Dict& names);

}  // namespace sdg::tensors
