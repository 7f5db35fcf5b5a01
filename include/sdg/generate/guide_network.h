#pragma once
#include "sdg/checkpoint/checkpoint.h"

namespace sdg::generate {

/// Throws UsageError unless `guide` can guide `trained` (arXiv 2406.02507): it draws images of the same size and
/// channels, of the same latents, and its conditions are the same. Clusters found in the networks themselves are the
/// same where at least three quarters of the guide's prototypes are each nearest to the one of the same number: so of
/// earlier snapshots of one run, and not of another run.
void check_guide(const checkpoint::Trained& trained, const checkpoint::Trained& guide);

}  // namespace sdg::generate
