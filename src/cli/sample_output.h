#pragma once
#include <string>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/generate/generate.h"

/// Where `sdg sample` puts what it draws. All three go on after having been stopped, at any moment and by any means,
/// and end in the same bytes; none holds more than a piece.
namespace sdg::cli {

struct Output {
  std::string where;       ///< folder or file
  bool overwrite = false;  ///< of a folder
  bool webp = false;       ///< pictures of a folder are WebP, else PNG
  std::string content;     ///< digest of all that decides the images (content_of)
};

/// Digest of all that decides the images.
std::string content_of(const checkpoint::Trained& trained, const generate::Request& request, const std::string& decoder,
                       const at::Device& device);

/// A signal came: no std::exception, for it passes whoever catches errors.
struct Stopped {};

/// 000000.png (or .webp) and following, compressed and written by threads of their own, with what each is as text
/// inside (tEXt, keyword "sdg"; of WebP EXIF's ImageDescription), and the grid of the first ones beside the folder.
/// Returns how many an earlier run had written. Throws Stopped where a signal came.
int64_t draw_folder(const Output& output, const checkpoint::Trained& trained, generate::Request request,
                    const at::Device& device);
/// arr_0 uint8 [N, S, S, 3] and, where each image has one, arr_1 its condition.
int64_t draw_npz(const Output& output, const checkpoint::Trained& trained, const generate::Request& request,
                 const at::Device& device);
/// A file of latents as sdg encode writes them: `mean` float [N, C, S, S], raw, and `conditions` int64 [N] (or [N, L]).
int64_t draw_latents(const Output& output, const checkpoint::Trained& trained, generate::Request request,
                     const data::LatentCard& card, const at::Device& device);

/// Beside the folder, which holds the images and nothing else: samples -> samples-grid.png
std::string grid_path(const std::string& folder);

}  // namespace sdg::cli
