#include "sdg/flow/prediction.h"

#include "sdg/core/error.h"

namespace sdg::flow {

Target parse_target(std::string_view name) {
  if (name == "velocity") return Target::kVelocity;
  if (name == "noise") return Target::kNoise;
  if (name == "data") return Target::kData;
  SDG_CHECK_USAGE(name == "score", "model.prediction must be velocity, noise, data or score, got \"", name, "\"");
  return Target::kScore;
}

Path parse_path(std::string_view name) {
  if (name == "straight") return Path::kStraight;
  if (name == "linear") return Path::kLinear;
  if (name == "cosine") return Path::kCosine;
  if (name == "sqrt_linear") return Path::kSqrtLinear;
  SDG_CHECK_USAGE(name == "stable_diffusion",
                  "model.path must be straight, linear, cosine, sqrt_linear or stable_diffusion, got \"", name, "\"");
  return Path::kStableDiffusion;
}

}  // namespace sdg::flow
