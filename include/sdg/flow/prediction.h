#pragma once
#include <array>

namespace sdg::flow {

/// What a network's output stands for.
enum class Target {
  kVelocity,  ///< straight, gvp, vp: dx_t/dt; path of betas: a eps - b x of Salimans and Ho, 2022
  kNoise,     ///< eps
  kData,      ///< x
  kScore,     ///< gradient of the log density of the noisy input
};

/// Which mixtures of data and noise a network was trained on, and by which name it knows them.
enum class Path {
  kStraight,         ///< x_t of flow/path.h, t in [0, 1]
  kLinear,           ///< betas from 1e-4 to 0.02 (DDPM, DiT, ADM); n = 0 … 999, 0 is data
  kCosine,           ///< Nichol and Dhariwal, 2021; n = 0 … 999
  kSqrtLinear,       ///< roots of the betas from 0.01 to sqrt(0.02) (Self-Guided Diffusion); n = 0 … 999
  kStableDiffusion,  ///< roots of the betas from sqrt(0.00085) to sqrt(0.012) (U-ViT on latents); n = 1 … 1000
  kGvp,              ///< SiT's "GVP" (interpolant.h), t in [0, 1], 0 is noise
  kVp,               ///< SiT's "VP", the same
};

/// Is the network told the number of a step, and not a time in [0, 1]?
constexpr bool has_steps(Path path) {
  return path != Path::kStraight && path != Path::kGvp && path != Path::kVp;
}

constexpr auto names_of(Target) {
  return std::array{"velocity", "noise", "data", "score"};
}
constexpr auto names_of(Path) {
  return std::array{"straight", "linear", "cosine", "sqrt_linear", "stable_diffusion", "gvp", "vp"};
}

struct Prediction {
  Target target = Target::kVelocity;
  Path path = Path::kStraight;
  bool operator==(const Prediction&) const = default;
};

}  // namespace sdg::flow
