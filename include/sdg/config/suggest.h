#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// "did you mean …?"
namespace sdg::config {

/// Smallest number of insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`
/// (Damerau-Levenshtein, no part edited twice). Bytes, not characters.
int64_t edit_distance(std::string_view a, std::string_view b);

/// The name that was probably meant, or "" where none is near. Dotted names are compared part by part, and a last part
/// that stands in another group counts too: `model.steps` finds `train.steps`, `batch` finds `train.batch`. Ties: the
/// first.
std::string closest(std::string_view name, const std::vector<std::string>& names);

}  // namespace sdg::config
