#include "sdg/model/tiling.h"

#include <algorithm>

#include "sdg/core/error.h"

namespace sdg::model {
namespace {

struct Grid {
  int64_t tile, overlap, margin;  // in latents
};

Grid grid_of(const TileOptions& options, int64_t factor) {
  const auto latents = [&](int64_t pixels) { return (pixels + factor - 1) / factor; };
  const Grid grid{latents(options.tile), latents(options.overlap), latents(options.margin)};
  SDG_CHECK_USAGE(options.margin >= 0 && grid.overlap > 2 * grid.margin && grid.tile > grid.overlap,
                  "tiles: expected tile > overlap > 2 margin >= 0, got ", options.tile, ", ", options.overlap, " and ",
                  options.margin, " pixels");
  return grid;
}

// Weight of each place of a tile along one axis, `per` places a latent: nothing in the margins that face a neighbour,
// a linear ramp between them, one elsewhere.
Tensor weights_along(int64_t start, int64_t size, int64_t length, const Grid& grid, int64_t per) {
  const auto places = at::arange(size * per, at::kFloat) + 0.5;
  const double margin = static_cast<double>(grid.margin * per);
  const double ramp = static_cast<double>((grid.overlap - 2 * grid.margin) * per);
  Tensor weights = at::ones({size * per});
  if (start > 0) weights *= ((places - margin) / ramp).clamp(0, 1);
  if (start + size < length) weights *= ((static_cast<double>(size * per) - places - margin) / ramp).clamp(0, 1);
  return weights;
}

/// Applies `network` to overlapping windows and blends. Sizes are counted in latents: `in_per` and `out_per` are the
/// places a latent has in x and in the result.
Tensor blend(const Tensor& x, const Grid& grid, int64_t in_per, int64_t out_per,
             const std::function<Tensor(const Tensor&)>& network) {
  const int64_t rows = x.size(2) / in_per, columns = x.size(3) / in_per;
  const int64_t height = std::min(grid.tile, rows), width = std::min(grid.tile, columns);
  Tensor sum, total;
  for (const int64_t top : tile_starts(rows, grid.tile, grid.overlap)) {
    const Tensor down = weights_along(top, height, rows, grid, out_per);
    for (const int64_t left : tile_starts(columns, grid.tile, grid.overlap)) {
      const Tensor across = weights_along(left, width, columns, grid, out_per);
      const Tensor weights = at::outer(down, across).to(x.device());  // [h, w]
      const Tensor piece =
          network(x.narrow(2, top * in_per, height * in_per).narrow(3, left * in_per, width * in_per).contiguous());
      if (!sum.defined()) {
        sum = at::zeros({x.size(0), piece.size(1), rows * out_per, columns * out_per}, piece.options());
        total = at::zeros({rows * out_per, columns * out_per}, piece.options());
      }
      const auto place = [&](Tensor& target, int64_t axis) {
        return target.narrow(axis, top * out_per, height * out_per).narrow(axis + 1, left * out_per, width * out_per);
      };
      place(sum, 2).add_(piece * weights);
      place(total, 0).add_(weights);
    }
  }
  return sum.div_(total);
}

bool fits(const Tensor& x, const Grid& grid, int64_t per) {
  return x.size(2) <= grid.tile * per && x.size(3) <= grid.tile * per;
}

}  // namespace

std::vector<int64_t> tile_starts(int64_t length, int64_t tile, int64_t overlap) {
  std::vector<int64_t> starts{0};
  while (starts.back() + tile < length) starts.push_back(std::min(starts.back() + tile - overlap, length - tile));
  return starts;
}

LatentDistribution encode_tiled(const Autoencoder& autoencoder, const Tensor& images, const TileOptions& options) {
  const int64_t factor = autoencoder.space().factor;
  const Grid grid = grid_of(options, factor);
  // Odd sizes are the autoencoder's to complain about.
  if (images.dim() != 4 || images.size(2) % factor != 0 || images.size(3) % factor != 0 || fits(images, grid, factor))
    return autoencoder.encode(images);
  bool gaussian = false;
  const Tensor both = blend(images, grid, factor, 1, [&](const Tensor& piece) {
    const auto latents = autoencoder.encode(piece);
    gaussian = latents.logvar.defined();
    return gaussian ? at::cat({latents.mean, latents.logvar}, 1) : latents.mean;
  });
  if (!gaussian) return {both, {}};
  const auto halves = both.chunk(2, 1);
  return {halves[0].contiguous(), halves[1].contiguous()};
}

Tensor decode_tiled(const Autoencoder& autoencoder, const Tensor& raw, const TileOptions& options) {
  const int64_t factor = autoencoder.space().factor;
  const Grid grid = grid_of(options, factor);
  if (raw.dim() != 4 || fits(raw, grid, 1)) return autoencoder.decode(raw);
  return blend(raw, grid, 1, factor, [&](const Tensor& piece) { return autoencoder.decode(piece); });
}

}  // namespace sdg::model
