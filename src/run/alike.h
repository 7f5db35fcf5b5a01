#pragma once
#include <string>

#include "sdg/core/reducer.h"

namespace sdg::run {

/// Throws UsageError on all ranks where `text` is not the same everywhere: "rank 2 has another <what> than rank 0",
/// with the first line that differs.
void check_alike(const std::string& what, const std::string& text, Reducer& reducer);

}  // namespace sdg::run
