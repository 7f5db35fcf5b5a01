#pragma once
#include <torch/nn/module.h>

#include <memory>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::model {

/// What the network is told about an image besides x_t and t.
struct Condition {
  enum class Mode {
    kUnconditional,  ///< the token of unconditional training (sgfm's stage 1); models without one use null
    kNull,           ///< the null condition of classifier-free guidance
    kGiven,          ///< `value`, except where `drop` is set
  };
  Mode mode = Mode::kUnconditional;
  Tensor value;  ///< kind index: int64 [N]; kind vector: float [N, D]; kind patch_vector: float [N, L, D]
  Tensor drop;   ///< bool [N] (or [N, L] for patch_vector), true = null instead of the value; may be undefined

  static Condition unconditional() { return {}; }
  static Condition null() { return {Mode::kNull, {}, {}}; }
  static Condition given(Tensor value, Tensor drop = {}) { return {Mode::kGiven, std::move(value), std::move(drop)}; }
};

struct ForwardOptions {
  int64_t feature_depth = -1;  ///< block whose output tokens are wanted, 0-based in order of computation; -1 none
  bool features_only = false;  ///< stop after that block: velocity stays undefined and the rest is not computed
};

struct ForwardOutput {
  Tensor velocity;  ///< [N, C, H, W]
  Tensor features;  ///< [N, T, D] all tokens after the asked block, extra tokens first; undefined unless asked for
};

/// A network that predicts dx_t/dt. Parameters carry the public state-dict names of the model they stand for.
class VelocityModel : public torch::nn::Module {
 public:
  /// x_t [N, C, S, S]; t [N] in [0, 1].
  virtual ForwardOutput forward(const Tensor& x_t, const Tensor& t, const Condition& condition,
                                const ForwardOptions& options = {}) = 0;
  virtual int64_t blocks() const = 0;                 ///< number of depths at which features can be had
  virtual int64_t default_feature_depth() const = 0;  ///< the middle block
  virtual int64_t dim() const = 0;                    ///< D
  virtual int64_t extra_tokens() const = 0;           ///< tokens before the patches in `features`
  virtual int64_t patch_tokens() const = 0;           ///< L
  /// Multiply-adds of one forward pass of one image.
  virtual int64_t macs() const = 0;
};

}  // namespace sdg::model
