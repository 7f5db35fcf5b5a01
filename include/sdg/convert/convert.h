#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "sdg/model/find_network.h"
#include "sdg/model/recognise.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/weights.h"

/// Public checkpoints to ours. (The way back is tensors::write_tensors or tensors::write_torch: names are public
/// throughout.)
namespace sdg::convert {

struct ConvertOptions {
  std::string family{};                  ///< decides between families with the same tensors: "dit", "sit", "uvit"
  std::vector<std::string> overrides{};  ///< "data.size=64": over the configuration that the weights imply
};

struct Converted {
  tensors::TensorFile file;  ///< a checkpoint: `ema.` + names, and a uniform `prior`
  model::Recognised network;
  int64_t tensors = 0;             ///< taken of the file
  std::vector<std::string> notes;  ///< what was assumed or changed, one sentence each
};

/// The family that a torch file's own training arguments name ("args.model" = "SiT-XL/2"), or "".
std::string family_hint(const tensors::Weights& weights);

/// What was chosen of a file and what else is in it, one sentence each.
std::vector<std::string> chosen_notes(const tensors::Weights& weights, const model::FoundNetwork& place);

/// A checkpoint that load_trained reads: the weights, a configuration told from them, and where they came from
/// (`source`). The network may lie below a prefix (model::find_network). Where data.size is overridden, position
/// embeddings are made anew (DiT, SiT: the fixed table) or resized (U-ViT). Throws Error for weights of no known
/// network, for missing, unexpected or misshapen tensors, and UsageError where the family or the number of heads must
/// be given.
Converted convert_public(const tensors::Weights& weights, const std::string& source, const ConvertOptions& options);

}  // namespace sdg::convert
