#pragma once
#include <functional>

#include "sdg/model/autoencoder.h"

/// Large images through an autoencoder piece by piece: memory is that of one tile (and of the result).
namespace sdg::model {

/// All in pixels of the image; rounded up to whole latents.
struct TileOptions {
  int64_t tile = 512;     ///< side of a tile
  int64_t overlap = 128;  ///< shared by neighbours, less than a tile
  int64_t margin = 32;    ///< of the overlap, at each end: only context, its result is thrown away; below half of it
};

/// Between the margins neighbours are blended linearly. A network whose outputs see no further than `margin` gives
/// exactly what it gives untiled (plain TAESD: 152 pixels to decode). Group norms and attention see the whole tile:
/// with TAEF2 and KL the result is close to the untiled one, not equal. An image that fits one tile is not tiled.
LatentDistribution encode_tiled(const Autoencoder& autoencoder, const Tensor& images, const TileOptions& options);
Tensor decode_tiled(const Autoencoder& autoencoder, const Tensor& raw, const TileOptions& options);

/// One axis: where tiles begin, `length` long in all, each min(tile, length) long.
std::vector<int64_t> tile_starts(int64_t length, int64_t tile, int64_t overlap);

}  // namespace sdg::model
