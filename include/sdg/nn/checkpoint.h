#pragma once
#include <functional>
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::nn {

using Piece = std::function<Tensor(const std::vector<Tensor>&)>;

/// piece(inputs), keeping only the inputs for the backward pass, which runs the piece a second time (Chen et al.,
/// "Training deep nets with sublinear memory cost", 2016). Values and gradients equal those of the plain call, since a
/// piece must be deterministic. `parameters` are those the piece uses; it must hold them alive. Autocast is restored
/// for the second run. Without grad mode this is the plain call.
Tensor checkpoint(const Piece& piece, const std::vector<Tensor>& inputs, const std::vector<Tensor>& parameters);

}  // namespace sdg::nn
