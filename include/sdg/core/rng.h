#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "sdg/core/tensor.h"

/// Counter-based randomness: every draw is a pure function of (seed, purpose, step, sample, element), so neither
/// restarts, batch size, ranks nor threads change it. Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy
/// as 1, 2, 3", 2011).
namespace sdg::rng {

/// What a draw is for. Values are part of the format: never renumber, or old runs stop being reproducible.
enum class Purpose : uint32_t {
  kInit = 1,            ///< initial weights
  kOrder = 2,           ///< order of the data in an epoch (step = epoch)
  kFlip = 3,            ///< horizontal flips
  kNoise = 4,           ///< eps of the training path
  kTime = 5,            ///< t of the training path
  kDrop = 6,            ///< condition drop
  kTeacherNoise = 7,    ///< eps of the teacher's view
  kStudentNoise = 8,    ///< eps of the head's own view
  kStudentTime = 9,     ///< t of the head's own view
  kSampleNoise = 10,    ///< x_0 of generated images
  kSampleCluster = 11,  ///< cluster or class of generated images
  kKmeans = 12,         ///< k-means seeding
  kSubset = 13,         ///< subsets in evaluation
  kLatent = 14,         ///< draw from stored latent moments
  kSampleStep = 15,     ///< noise that a stochastic solver adds to generated images (step = the solver's)
  kSampleOther = 16,    ///< the other cluster that generated images are guided away from
  kDequantise = 17,     ///< places of 8-bit pixels within their step, for densities
  kTraceProbe = 18,     ///< probes of the divergence, for densities
  kDropout = 20,        ///< dropout masks (seed mixed with the layer's name)
  kStrength = 21,       ///< strength of guidance that the training path is told
  kAlignTime = 22,      ///< how much nearer to the data the average looks that features are aligned with
  kSampleVector = 23,   ///< x_0 of vectors that generated images are told
  kNeighbour = 30,      ///< which neighbour of an image its condition is taken from
  kTest = 1000,
};

/// One stream: all draws of one purpose at one step of one seed.
struct Stream {
  uint64_t seed = 0;
  Purpose purpose = Purpose::kTest;
  uint64_t step = 0;
};

/// The raw generator: 128 bits of counter, 64 bits of key, 128 bits out.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// Standard normal, float32 [samples.size(), shape...]; row i depends only on (stream, samples[i]).
Tensor normal(const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape);

/// Uniform on [0, 1), float32, same layout and same promise as normal().
Tensor uniform(const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape);

/// The same draws made on `device`, where nothing waits for them. On the CPU they are those above, bit for bit.
/// Elsewhere the words of Philox and the uniforms are the same bit for bit; normals come from another library's
/// logarithm, cosine and sine, in float64, and agree within 1e-6. By a kernel of ours where the program was built with
/// one (nvcc found by CMake), else by tensor operations.
Tensor normal(const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape, const at::Device& device);
Tensor uniform(const Stream& stream, at::IntArrayRef samples, at::IntArrayRef shape, const at::Device& device);

/// What `samples` are on `device`, int64 [n], for draws that may be recorded (core/replay.h): no number of the host
/// decides them. Uniforms as above, bit for bit, [n, shape...] where the counters lie.
Tensor counters(at::IntArrayRef samples, const at::Device& device);
Tensor uniform(const Stream& stream, const Tensor& counters, at::IntArrayRef shape);

/// A random permutation of 0..n-1, int64.
std::vector<int64_t> permutation(const Stream& stream, int64_t n);

/// A stable 64-bit hash of a name (FNV-1a), to key streams by parameter names.
uint64_t hash(std::string_view name);

/// first, first+1, …, first+count-1: the global indices of a batch.
std::vector<int64_t> consecutive(int64_t first, int64_t count);

}  // namespace sdg::rng
