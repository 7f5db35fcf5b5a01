#pragma once
#include <functional>
#include <string>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/progress.h"
#include "sdg/network/network.h"
#include "sdg/sample/options.h"

namespace sdg::generate {

/// A drawn image is not finite.
class NotFinite : public Error {
 public:
  using Error::Error;
};

/// What to draw: how (the options), which images, under which condition.
struct Request {
  sample::SampleOptions sample;
  int64_t first = 0;     ///< index of the first image; image i is a function of (seed, i) and of what stands here
  int64_t cluster = -1;  ///< all images of this cluster or class; -1 draws one per image from the prior
  Tensor map{};          ///< patch level: int64 [L], the clusters of all patches of every image; undefined draws maps
  bool unconditional = false;                          ///< as with guidance 0
  std::function<Tensor(const Tensor& x)> to_images{};  ///< what was drawn -> uint8 pictures (latents/latent_images.h);
                                                       ///< empty rounds pixels in [-1, 1]
};

/// Is no image drawn with a condition: guidance 0 at all times, or `unconditional`?
bool draws_unconditionally(const Request& request);

struct Generated {
  Tensor images;    ///< uint8 [n, C, S, S]; of latents what they decode to
  Tensor clusters;  ///< int64 [n] (patch level [n, L]) the condition of each, -1 where there is none
};

/// Draws images from x_0 ~ N(0, I), t = 0, to t = 1 with the solver that the options name. Images are computed in
/// groups of consecutive indices (a last group is filled up), always the same ones together, so neither batch nor count
/// nor threads change an image, bit for bit; the noise that stochastic solvers add is keyed by (seed, image, step).
/// `prior` (see Learner::prior) may be undefined (no condition). `take` gets consecutive pieces in order. Throws
/// NotFinite, naming image and settings, where an image holds NaN or infinity.
void generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
              const at::Device& device, const Request& request, const std::function<void(const Generated&)>& take,
              const Progress& progress = {});

/// All pieces joined.
Generated generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                   const at::Device& device, const Request& request, const Progress& progress = {});

}  // namespace sdg::generate
