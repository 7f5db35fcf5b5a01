#pragma once
#include <string>
#include <utility>
#include <vector>

namespace sdg::evaluate {

/// How a number was made, field by field in a fixed order: extractor and its weights, front end, counts, sizes, the
/// reference's fingerprint, how images were drawn, what metrics were told. Numbers of one protocol compare.
using Protocol = std::vector<std::pair<std::string, std::string>>;

/// 16 hexadecimal digits of all fields.
std::string protocol_id(const Protocol& protocol);

/// The fields in which two differ: "sample.steps 25 against 50", in the first's order, then those of the second alone.
std::vector<std::string> protocol_differences(const Protocol& a, const Protocol& b);

}  // namespace sdg::evaluate
