#pragma once
#include "sdg/core/tensor.h"
#include "sdg/regions/box.h"

namespace sdg::regions {

struct LostOptions {
  int64_t candidates = 100;  ///< k: how many patches of lowest degree the seed may grow by; at most all of them
};

/// What LOST finds in one picture.
struct LostObject {
  int64_t seed = 0;  ///< the patch of lowest degree; of several the first
  Tensor mask;       ///< bool [rows, columns]: the patches of the object, of one piece, the seed among them
  Box box;           ///< around them, in patches
};

/// The one object of a picture, without labels (Siméoni et al., "Localizing objects with self-supervised transformers
/// and no labels", arXiv 2109.14279). `patches` float [rows * columns, D], row by row: of a ViT the keys of its last
/// attention layer. With G = F F^T: the degree of a patch is the number of patches with which it correlates positively
/// (G > 0); the seed is the patch of lowest degree, since objects are smaller than what surrounds them; it grows by
/// those of the `candidates` patches of lowest degree that correlate positively with it; the object is the patches
/// whose correlations with all of these sum to more than 0, as far as they hang together with the seed (4 neighbours).
/// Of equal degrees the earlier patch counts as lower. Throws Error, naming the patch, for vectors that are not finite
/// or all zeros.
LostObject find_object(const Tensor& patches, int64_t rows, int64_t columns, const LostOptions& options = {});

}  // namespace sdg::regions
