#pragma once
#include <string>
#include <utility>
#include <vector>

#include "sdg/evaluate/gather.h"
#include "sdg/recipe/options.h"
#include "sdg/sample/options.h"

namespace sdg::evaluate {

/// How a number was made, field by field in a fixed order: extractor and its weights, front end, counts, sizes, the
/// reference's fingerprint, how images were drawn, what metrics were told. Numbers of one protocol compare.
using Protocol = std::vector<std::pair<std::string, std::string>>;

/// Extractor, its weights and front end, how many images of which size are measured, and the reference's fingerprint,
/// count and size; nothing of a reference without a text.
Protocol images_protocol(const vision::FeatureExtractor& extractor, const std::string& count, const std::string& size,
                         const Side& reference);

/// How images are drawn, prior included ("sample.prior"), but neither seed nor count; and what guides.
void add_drawn(Protocol& protocol, const sample::SampleOptions& sample, recipe::Source condition);

/// 16 hexadecimal digits of all fields.
std::string protocol_id(const Protocol& protocol);

/// The fields in which two differ: "sample.steps 25 against 50", in the first's order, then those of the second alone.
std::vector<std::string> protocol_differences(const Protocol& a, const Protocol& b);

}  // namespace sdg::evaluate
