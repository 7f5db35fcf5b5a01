#pragma once
#include <filesystem>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/network/vector_prior.h"

/// Networks that draw what the images of a run are told (network/vector_prior.h), in the run's folder.
namespace sdg::conditions {

/// Does this network tell an image one vector, of which four at least are stored? Only those can be drawn anew. Throws
/// UsageError, beginning with `what`, where it does not, and says why.
void check_tells_vectors(const checkpoint::Trained& trained, const std::string& what);

/// Where the prior of a checkpoint lies: RUN/prior.safetensors, of a file in no run NAME.prior.safetensors beside it.
std::filesystem::path prior_path(const std::filesystem::path& checkpoint);

/// A prior fitted to what `trained` is told.
void write_prior(const std::filesystem::path& path, const network::VectorPrior& prior,
                 const checkpoint::Trained& trained);
/// Throws UsageError where there is none and Error where it is none of ours or was fitted to other vectors than those
/// that `trained` is told, as those of an earlier step are.
network::VectorPrior read_prior(const std::filesystem::path& path, const checkpoint::Trained& trained);

/// How drawn vectors compare with the told ones, as well as 2,500 of each say: Fréchet distances and the median
/// distances to the nearest told vector. Of a perfect prior the two of each pair are alike.
struct PriorFit {
  int64_t rows = 0;                              ///< of each side
  double drawn_distance = 0, told_distance = 0;  ///< Fréchet: of drawn to told ones, of told to other told ones
  double drawn_nearest = 0, told_nearest = 0;    ///< of a drawn, of a told one to another
};
PriorFit fit_of(const network::VectorPrior& prior, const checkpoint::Trained& trained, const at::Device& device);

}  // namespace sdg::conditions
