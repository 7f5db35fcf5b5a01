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
///
/// **Threads.** Work is spread over the library's own threads (core/parallel.h). A program calls at::set_num_threads(1)
/// first: kernels that start threads of their own get in their way, and may round differently.
///
/// This header includes what a program that uses the library needs; what is further inside (layers of networks, file
/// formats, studies) has headers of its own. docs/tutorial/ shows three such programs.
#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/checkpoint.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/cluster/kmeans.h"
#include "sdg/cluster/label_prior.h"
#include "sdg/cluster/prototype_head.h"
#include "sdg/cluster/sinkhorn.h"
#include "sdg/cluster/standardizer.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/core/rng.h"
#include "sdg/core/version.h"
#include "sdg/data/dataset.h"
#include "sdg/flow/path.h"
#include "sdg/flow/prediction_table.h"
#include "sdg/generate/generate.h"
#include "sdg/image/image.h"
#include "sdg/metrics/clustering.h"
#include "sdg/metrics/gaussian.h"
#include "sdg/metrics/probes.h"
#include "sdg/model/catalog.h"
#include "sdg/network/assign.h"
#include "sdg/network/network.h"
#include "sdg/recipe/run_config.h"
#include "sdg/run/trainer.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/guidance.h"
#include "sdg/sample/solver.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/vision/feature_extractor.h"
