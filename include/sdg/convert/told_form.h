#pragma once
#include <optional>
#include <string>
#include <vector>

#include "sdg/recipe/options.h"
#include "sdg/tensors/weights.h"

/// How a network was told its clusters, which bare weights do not show.
namespace sdg::convert {

/// Metadata under which files in public form say so.
inline constexpr const char* kToldKey = "sdg_condition";

/// Of a checkpoint of this program whose clusters were found online; nothing of other files. Throws Error, beginning
/// with `where`, if its configuration cannot be read.
std::optional<recipe::ConditionOptions> told_in(const tensors::Weights& weights, const std::string& where);

/// Does the public code (sgfm) tell clusters so: by prototypes of length 1, without them by a token of its own?
bool is_told_as_public(const recipe::ConditionOptions& condition);

/// "condition.token=scaled condition.token_scale=0 condition.null_token=shared", and back: as overrides.
std::string told_text(const recipe::ConditionOptions& condition);
std::vector<std::string> told_overrides(const tensors::Weights& weights);

}  // namespace sdg::convert
