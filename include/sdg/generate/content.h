#pragma once
#include <string>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/generate/generate.h"
#include "sdg/io/digest.h"
#include "sdg/metrics/gaussian.h"

/// Digests of what decides a result, wherever files lie and whatever they are called.
namespace sdg::generate {

/// Of a trained network: tensors, what conditions are drawn from, configuration.
std::string content_digest(const checkpoint::Trained& trained);

/// Of statistics, with all that is known of them.
std::string content_digest(const metrics::Gaussian& statistics);

/// Adds all that decides the images besides the network; where `to_images` is not empty, `decoder` says what it is.
void add_content(io::Digest& digest, const Request& request, const std::string& decoder);

}  // namespace sdg::generate
