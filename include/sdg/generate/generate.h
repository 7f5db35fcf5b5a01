#pragma once
#include <functional>
#include <string>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/progress.h"
#include "sdg/network/network.h"

namespace sdg::generate {

/// A drawn image is not finite.
class NotFinite : public Error {
 public:
  using Error::Error;
};

struct GenerateOptions {
  int64_t first = 0;  ///< index of the first image; image i is a function of (seed, i) and the options below
  int64_t count = 64;
  int64_t batch = 256;  ///< images under way at once; changes memory and speed, not the images
  int64_t seed = 0;
  int64_t steps = 25;
  double guidance = 1.0;                        ///< v_u + w (v_c - v_u)
  double guidance_begin = 0, guidance_end = 1;  ///< times between which w acts; elsewhere w is 1 (arXiv 2404.07724);
                                                ///< also for w = 0, which is unconditional only between them
  std::string solver = "euler";
  std::string grid = "uniform";  ///< or "own": equal steps of the network's own path
  int64_t cluster = -1;          ///< all images of this cluster or class; -1 draws one per image from the prior
  Tensor map;  ///< patch level: int64 [L], the clusters of all patches of every image; undefined draws maps
  bool unconditional = false;
  std::function<Tensor(const Tensor& x)> to_images;  ///< what was drawn -> uint8 pictures (latents/latent_images.h);
                                                     ///< empty rounds pixels in [-1, 1]
};

/// The strength of guidance at time t: `guidance` between begin and end, both included, 1 elsewhere. An interval that
/// reaches 0 or 1 is open there: adaptive solvers look a little beyond the ends.
double guidance_at(const GenerateOptions& options, double t);

/// Is no image drawn with a condition: guidance 0 at all times, or `unconditional`?
bool draws_unconditionally(const GenerateOptions& options);

/// "seed 0, guidance 1.5, 25 euler steps", for messages.
std::string to_text(const GenerateOptions& options);

/// What the run's own sampling options say (sample.*), of images 0 and following.
GenerateOptions sampling_defaults(const recipe::RunConfig& config);

struct Generated {
  Tensor images;    ///< uint8 [n, C, S, S]; of latents what they decode to
  Tensor clusters;  ///< int64 [n] (patch level [n, L]) the condition of each, -1 where there is none
};

/// Draws images from x_0 ~ N(0, I) along the network's velocity from t = 0 to 1. Images are computed in groups of
/// consecutive indices (a last group is filled up), always the same ones together, so neither batch nor count nor
/// threads change an image, bit for bit. `prior` (see Learner::prior) may be undefined (no condition). `take` gets
/// consecutive pieces in order. Throws NotFinite, naming image and settings, where an image holds NaN or infinity.
void generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
              const at::Device& device, const GenerateOptions& options,
              const std::function<void(const Generated&)>& take, const Progress& progress = {});

/// All pieces joined.
Generated generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                   const at::Device& device, const GenerateOptions& options, const Progress& progress = {});

}  // namespace sdg::generate
