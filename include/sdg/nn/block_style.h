#pragma once

namespace sdg::nn {

/// How the blocks of a transformer are made where they are not as in the public code of U-ViT and DiT: the parts of
/// LightningDiT's recipe (Yao et al., arXiv 2501.01423), each alone.
struct BlockStyle {
  bool qk_norm = false;   ///< queries and keys are normalised, head by head
  bool rms_norm = false;  ///< norms are kRms; those of DiT have a scale of their own then
  bool swiglu = false;    ///< the MLP is nn/swiglu.h
  bool rotary = false;    ///< queries and keys are turned by their places, nn/rotary.h
};

}  // namespace sdg::nn
