#pragma once
#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/flow/prediction.h"

namespace sdg::model {

/// What the network is told about an image besides x_t and t.
struct Condition {
  enum class Mode {
    kUnconditional,  ///< the token of unconditional training (sgfm's stage 1); models without one use null
    kNull,           ///< the null condition of classifier-free guidance
    kGiven,          ///< `value`, except where `drop` is set
  };
  Mode mode = Mode::kUnconditional;
  Tensor value;          ///< kind index: int64 [N]; kind vector: float [N, D]; kind patch_vector: float [N, L, D]
  Tensor drop;           ///< bool [N] (or [N, L] for patch_vector), true = null instead of the value; may be undefined
  Tensor map;            ///< float [N, M, S, S], for networks that take a map; dropped together with the value
  Tensor strength = {};  ///< float [N], 1 / w for guidance w, of networks that take it; undefined stands for 1

  static Condition unconditional() { return {}; }
  static Condition null() { return {Mode::kNull, {}, {}, {}, {}}; }
  static Condition given(Tensor value, Tensor drop = {}, Tensor map = {}) {
    return {Mode::kGiven, std::move(value), std::move(drop), std::move(map), {}};
  }
};

/// Which dropout masks are drawn: row i's are a function of (seed, samples[i], layer).
struct DropoutDraw {
  uint64_t seed = 0;
  std::vector<int64_t> samples;  ///< [N]
  Tensor counters = {};          ///< int64 [N], the same where the network lies: then masks are made of these, there
};

struct ForwardOptions {
  int64_t feature_depth = -1;  ///< block whose output tokens are wanted, 0-based in order of computation; -1 none
  bool features_only =
      false;  ///< stop after the deepest asked block: the prediction stays undefined, the rest uncomputed
  std::shared_ptr<const DropoutDraw> dropout = nullptr;  ///< null: nothing is dropped, as in sampling
  std::vector<int64_t> feature_depths = {};  ///< several such blocks in any order, for `all_features` of the output
  bool inner = false;                        ///< the inner head's prediction is wanted, of networks that have one
};

struct ForwardOutput {
  Tensor prediction;  ///< [N, C, H, W] what the model predicts(): the velocity, unless it was built to predict another
  Tensor variance = {};  ///< [N, C, H, W] of networks that learned one (DiT and ADM with learn_sigma): the place of a
                         ///< step's log variance between its bounds, -1 … 1; undefined elsewhere
  Tensor features = {};  ///< [N, T, D] all tokens after the asked block, extra tokens first; undefined unless asked
                         ///< for. Feature maps of a U-Net come as one token per pixel, row by row.
  std::vector<Tensor> all_features = {};  ///< the same of each of feature_depths, in their order
  Tensor inner = {};  ///< [N, C, H, W] what the inner head predicts, of the same kind; undefined unless asked for
};

/// A network that predicts dx_t/dt, or what predicts() says (flow/prediction_table.h turns that into dx_t/dt).
/// Parameters carry the public state-dict names of the model they stand for.
class VelocityModel : public torch::nn::Module {
 public:
  /// x_t [N, C, S, S]; t [N] in [0, 1], or the step number n of a path of betas.
  virtual ForwardOutput forward(const Tensor& x_t, const Tensor& t, const Condition& condition,
                                const ForwardOptions& options = {}) = 0;
  virtual int64_t blocks() const = 0;                   ///< number of depths at which features can be had
  virtual int64_t default_feature_depth() const = 0;    ///< the middle block
  virtual int64_t dim() const = 0;                      ///< D, also the width of condition vectors
  virtual int64_t extra_tokens() const = 0;             ///< tokens before the patches in `features`
  virtual bool has_cls_token() const { return false; }  ///< is the first of them a learned cls token
  virtual int64_t patch_tokens() const = 0;             ///< L, at the default feature depth
  /// Width, and number without the extra tokens, of the features after the block `depth`. They change with the depth in
  /// a U-Net.
  virtual int64_t feature_dim(int64_t /*depth*/) const { return dim(); }
  virtual int64_t feature_tokens(int64_t /*depth*/) const { return patch_tokens(); }
  /// Is there a head after an inner block that predicts too (ForwardOutput::inner)?
  virtual bool has_inner() const { return false; }
  /// Is the strength of guidance one of its inputs (Condition::strength)?
  virtual bool takes_strength() const { return false; }
  /// Multiply-adds of one forward pass of one image, the inner head's included.
  virtual int64_t macs() const = 0;

  /// What `prediction` of the output means. The network computes the same whatever stands here.
  const flow::Prediction& predicts() const { return predicts_; }
  void set_predicts(const flow::Prediction& predicts) { predicts_ = predicts; }

 private:
  flow::Prediction predicts_;
};

}  // namespace sdg::model
