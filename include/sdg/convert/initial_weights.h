#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "sdg/checkpoint/provenance.h"
#include "sdg/network/network.h"

namespace sdg::convert {

/// What a network took over from a file before training.
struct InitialWeights {
  std::string source;                 ///< file name, and entry where there are several
  int64_t taken = 0;                  ///< tensors copied
  std::vector<std::string> fresh;     ///< of the network, not in the file: they start as usual
  std::vector<std::string> unfit;     ///< in both, of another shape: "pos_embed [1, 9, 8] instead of [1, 5, 8]"
  std::vector<std::string> unused;    ///< of the file's network, not in ours
  std::vector<std::string> notes;     ///< what was chosen of the file, one sentence each
  checkpoint::Provenance provenance;  ///< the file's own chain; of public weights what their tensors tell
};

/// Copies into the network every tensor of the file that has the same name and shape, the head's too. Files: any that
/// tensors::read_weights knows (public checkpoints under their public names, and ours; the average is taken where there
/// is one), whatever stands before the network's names (model::find_network).
///
/// `match` is model.weights_match. strict: throws Error, and copies nothing, where a tensor of the network is missing
/// or of another shape, or one of the file's network would stay unused. Free to be on one side alone: what belongs to
/// the condition (model::is_condition_name), and the clustering head where the file has no tensor of it; a table that
/// is not trained may have another size. matching: none of this. Throws Error where nothing fits, and where a tensor to
/// be taken holds NaN or infinity.
InitialWeights start_from(network::Network& network, const std::filesystem::path& path,
                          model::WeightsMatch match = model::WeightsMatch::kStrict);

/// "took 268 tensors of x.pth (entry ema); 2 start anew (pos_embed, cls_token); 1 of the file unused
/// (label_emb.weight); this file also holds model (268 tensors)"
std::string to_text(const InitialWeights& weights);

}  // namespace sdg::convert
