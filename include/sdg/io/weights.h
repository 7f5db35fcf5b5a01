#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

/// Named tensors from whatever file they are in.
namespace sdg::io {

struct Weights {
  std::map<std::string, Tensor> tensors;        ///< views into the mapped file; may be strided
  std::map<std::string, std::string> metadata;  ///< safetensors' own; plain values of a torch file ("args.model")
  std::string format;                ///< "safetensors", "safetensors shards", "torch zip", "torch legacy", "npz"
  std::string entry;                 ///< the part that was taken; empty where the file is one state dict
  std::vector<std::string> entries;  ///< the parts that could be taken, of files that have several
  std::string stripped;              ///< what was taken off the beginning of every name ("module.")
};

/// Recognises by content, never by name: safetensors, an index of safetensors shards (model.safetensors.index.json),
/// torch files of both kinds, npz; and folders: one that holds such an index, one safetensors file, or sgfm's nnet.pth
/// and nnet_ema.pth (entries `model` and `ema`).
///
/// `entry` names a part: a nested state dict ("ema", "model", "state_dict", "opt"; "a.b" goes deeper), or the tensors
/// of a flat file whose names begin with it and a dot. Empty: `ema` if it is there, else `model`, `state_dict` or
/// `model_state_dict`, else everything. The beginnings "module." and "_orig_mod." are taken off where every name has
/// them. Throws Error, one line that begins with the path; a missing entry names those there are.
Weights read_weights(const std::filesystem::path& path, const std::string& entry = "");

}  // namespace sdg::io
