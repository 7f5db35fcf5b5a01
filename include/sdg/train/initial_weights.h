#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "sdg/train/network.h"

namespace sdg::train {

/// What a network took over from a file before training.
struct InitialWeights {
  std::string source;               ///< file name, and entry where there are several
  int64_t taken = 0;                ///< tensors copied
  std::vector<std::string> fresh;   ///< of the network, not in the file: they start as usual
  std::vector<std::string> unfit;   ///< in both under one name, of another shape: they start as usual
  std::vector<std::string> unused;  ///< of the file, not in the network
  bool class_conditional = false;   ///< did the file's network know labels
};

/// Copies into the network every tensor of the file that has the same name and shape, the head's too. Files: any that
/// io::read_weights knows (public checkpoints under their public names, and ours; the average is taken where there is
/// one). Throws Error where nothing fits.
InitialWeights start_from(Network& network, const std::filesystem::path& path);

/// "took 268 tensors of x.pth (entry ema); 2 start anew (pos_embed, cls_token); 1 of the file unused
/// (label_emb.weight)"
std::string to_text(const InitialWeights& weights);

}  // namespace sdg::train
