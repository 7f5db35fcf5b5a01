#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/error.h"
#include "sdg/core/progress.h"
#include "sdg/core/reducer.h"
#include "sdg/network/network.h"
#include "sdg/sample/options.h"

namespace sdg::generate {

/// A drawn image is not finite.
class NotFinite : public Error {
 public:
  using Error::Error;
};

/// Clusters and their shares, which are positive.
using Mixture = std::vector<std::pair<int64_t, double>>;

/// What drawing took, counted on all threads.
struct Effort {
  std::atomic<int64_t> images{0};  ///< that were walked, those that only fill up a group included
  std::atomic<int64_t> calls{0};   ///< how often a network was shown one of them
  double calls_per_image() const { return images > 0 ? static_cast<double>(calls) / static_cast<double>(images) : 0; }
};

/// What to draw: how (the options), which images, under which condition.
struct Request {
  sample::SampleOptions sample;
  int64_t first = 0;     ///< index of the first image; image i is a function of (seed, i) and of what stands here
  int64_t cluster = -1;  ///< all images of this cluster or class; -1 draws one per image from the prior
  Mixture mixture{};     ///< all images under the mean of the vectors of these clusters, of their mean length
  Tensor rows{};         ///< int64 [R]: image i is told the condition of index, or stored row, rows[i mod R]
  Tensor map{};          ///< patch level: int64 [L], the clusters of all patches of every image; undefined draws maps
  bool unconditional = false;                          ///< as with guidance 0
  std::shared_ptr<const checkpoint::Trained> guide{};  ///< the network of sample::Guide::kNetwork (guide_network.h)
  Tensor from{};        ///< float [C, S, S], what the network draws: images begin as this one, under their noise
  double strength = 1;  ///< with `from`: of that noise; the walk begins at t = 1 - strength
  Tensor drawn_anew{};  ///< bool [S, S], with `from`: elsewhere images stay what it is, and what is drawn fits that
  std::optional<std::pair<int64_t, int64_t>> between{};  ///< images go from the noise of one image to that of another
                                                         ///< over an arc, each under the condition of the nearer one
  std::function<Tensor(const Tensor& x)> to_images{};  ///< what was drawn -> uint8 pictures (latents/latent_images.h);
                                                       ///< empty rounds pixels in [-1, 1]
  bool latents = false;                                ///< keep what was drawn beside its pictures
  std::shared_ptr<Effort> effort{};                    ///< where given, counts what this rank's walks take
  Reducer* ranks = nullptr;                            ///< who draws together, see help(); null: one
};

/// Is no image drawn with a condition: guidance 0 at all times, or `unconditional`?
bool draws_unconditionally(const Request& request);
/// Is it said what images are told: one condition for all, or rows in order?
bool names_condition(const Request& request);

struct Generated {
  Tensor latents{};  ///< float [n, C, S, S] what was drawn, where Request::latents asks for it
  Tensor images;     ///< uint8 [n, C, S, S]; of latents what they decode to
  Tensor clusters;   ///< int64 [n] (patch level [n, L]) the condition of each, -1 where there is none
};

/// Throws UsageError for what this network or the request itself leaves without meaning. All below begin with it; who
/// makes folders and files before that asks first.
void check(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
           const Request& request);

/// Draws images from x_0 ~ N(0, I), t = 0, to t = 1 with the solver that the options name. On the CPU images are
/// computed in groups of 16 consecutive indices (a last group is filled up), always the same ones together, so neither
/// batch nor count nor threads change an image, bit for bit. On a GPU groups are as large as sample.batch, up to 256,
/// and hold what is asked for, so batch and count may change an image within rounding. The noise that stochastic
/// solvers add is keyed by (seed, image, step). `prior` (see Learner::prior) may be undefined (no condition). `take`
/// gets consecutive pieces in order. Throws NotFinite, naming image, step and settings, where an image holds NaN or
/// infinity.
void generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
              const at::Device& device, const Request& request, const std::function<void(const Generated&)>& take,
              const Progress& progress = {});

/// All pieces joined.
Generated generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                   const at::Device& device, const Request& request, const Progress& progress = {});

/// Over ranks (Request::ranks) either all call generate alike, which gives every rank every image, as one rank draws
/// them, to the bit and in the same pieces. Or rank 0 does, and the others call help again and again until it returns
/// false, and rank 0 calls dismiss at the end; the requests are alike but for first and count, which are rank 0's.
/// Between calls rank 0 may take its time.
bool help(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
          const at::Device& device, Request request);
void dismiss(const Request& request);

/// The times at which the request's walk steps: of grid fitted, those found for this network.
std::vector<double> walk_times(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                               const at::Device& device, const Request& request);

/// The predictions of the clean image that image request.first goes through, one an evaluation, [n, C, S, S], as drawn.
Tensor trace(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
             const at::Device& device, const Request& request);

/// A walk there and back: from images x [N, C, S, S] (as drawn) at t = 1 to their noise at t = 0, and to images again,
/// under the condition of the request's cluster (none: without condition), N at most a group. The solver goes either
/// way (Runge-Kutta, adams_bashforth, dopri5); others are refused.
struct Inverted {
  Tensor noise, images;
};
Inverted invert(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                const at::Device& device, const Request& request, const Tensor& x);

/// log p of images x [N, C, S, S] (as drawn) in nats, [N] (sample/likelihood.h), under the request's cluster, or
/// without condition. `probes` random signs an image, keyed by (seed, number of the image from request.first on),
/// estimate the divergence; 0 works it out exactly.
Tensor log_densities(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                     const at::Device& device, const Request& request, const Tensor& x, int64_t probes);

/// uint8 images [N, ...] as pixels in [-1, 1], each at a uniform place within its step, keyed by (seed, number of the
/// image from `first` on): what densities of 8-bit images are taken of (Theis et al., 2016).
Tensor dequantised(const Tensor& images, uint64_t seed, int64_t first);
/// Nats of such pixels [N] as bits for each of an image's numbers in 0 … 255.
Tensor bits_per_dimension(const Tensor& log_density, int64_t dimensions);

}  // namespace sdg::generate
