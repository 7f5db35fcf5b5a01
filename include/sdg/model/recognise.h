#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/model/options.h"

/// Which network a state dict belongs to, told from the names and shapes of its tensors.
namespace sdg::model {

using Tensors = std::map<std::string, Tensor>;

/// The head by which features are clustered, where the state dict has one (sgfm).
struct RecognisedHead {
  int64_t clusters = 0, hidden = 0, features = 0;  ///< prototypes, hidden width, width of its input
  bool standardize = false;                        ///< does it bring features to mean 0 and variance 1 first (ours)
  bool centroids = false;                          ///< does it keep the mean of each cluster's members (ours)
};

struct Recognised {
  std::string family;                   ///< "uvit", "dit" or "sit"; the first of `candidates` while those are several
  std::vector<std::string> candidates;  ///< families with exactly these tensors (dit and sit)
  ModelOptions options;                 ///< build() makes the network from these two
  ModelShape shape;                     ///< `inner` is 0 for an inner head after any block
  int64_t dim = 0;                      ///< width of the tokens
  flow::Target prediction = flow::Target::kVelocity;  ///< what the public model of that family predicts
  std::optional<RecognisedHead> head;
  bool heads_known = true;  ///< false: neither a preset of this width and depth nor norms of queries tell the heads
  std::vector<std::string> notes;  ///< what tensors cannot say and was assumed, one sentence each
  /// Against the network that the options mean; a misshapen one reads "name [1, 2] instead of [2, 1]".
  std::vector<std::string> missing, unexpected, misshapen;

  bool fits() const { return missing.empty() && unexpected.empty() && misshapen.empty(); }
};

/// One row of the table of known networks. `read` may assume what `matches` has checked.
struct Recogniser {
  const char* name;
  bool (*matches)(const Tensors& tensors);
  Recognised (*read)(const Tensors& tensors);
};
const std::vector<Recogniser>& recognisers();

/// The first row that matches, or nothing. `family` decides between candidates ("dit", "sit"); a family that the
/// tensors cannot be is a UsageError. Only names and shapes are looked at: tensors may be on the meta device.
std::optional<Recognised> recognise(const Tensors& tensors, const std::string& family = "");

/// Names that belong to the prototype head, not to the backbone: "projection_head.", "prototypes.", "feature_norm.".
const std::vector<std::string>& head_names();
/// Of what only training needs: "projector.", which aligns features with another network's.
bool is_projector_name(const std::string& name);
/// Of what guidance learned in training adds: "inner_head.", and "strength_embed.", through which the rest has learned
/// to look.
bool is_inner_head_name(const std::string& name);
bool is_strength_name(const std::string& name);

/// pos_embed [1, E + g*g, D] of a transformer trained on a grid of side g for one of side `side`: the first `extra`
/// rows stay, the rest is a picture that is resized bilinearly, as U-ViT's code does.
Tensor resize_positions(const Tensor& pos_embed, int64_t extra, int64_t side);

}  // namespace sdg::model
