#pragma once
/// @file
/// `sdg`: self-guided diffusion on LibTorch. The world, stated once; headers below say only what differs.
///
/// **Layout.** Images and latents are [N, C, H, W]; tokens are [N, T, D]; features are [N, D]. Images are uint8 0..255
/// at rest and float32 in [-1, 1] inside models.
///
/// **Time.** t = 0 is noise, t = 1 is data, on every path and in every sampler. Models see t in [0, 1].
///
/// **Letters.** N batch, C channels, H W size in pixels, P patch size, L = H*W/P^2 patch tokens, T all tokens, D width,
/// K clusters (prototypes). x data, eps noise, x_t the point on the path, velocity its derivative.
///
/// **Errors.** A user's error throws sdg::Error with a message that says where, what was expected and what came.
/// The library neither prints nor exits.
///
/// **Randomness** is an argument: every draw is a function of (seed, purpose, step, sample), see core/rng.h.
#include "sdg/core/error.h"
#include "sdg/core/version.h"
