#pragma once
#include <string_view>

#include "sdg/config/fields.h"

namespace sdg::config {
/// Applies one `--set`: "train.steps=5", spaces around key and value left out. Throws UsageError
/// `--set train.bacth=3: unknown key; did you mean train.batch?`, and the like for a value that the option does not
/// take.
void apply_override(const Fields& fields, std::string_view assignment);
}  // namespace sdg::config
