#include "sdg/config/suggest.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "text_impl.h"

namespace sdg::config {
namespace {

// Case and the choice between - and _ are no reason not to find a name.
std::string normalised(std::string_view name) {
  std::string out = lower_case(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

// How far apart two names of these lengths may be: 0 up to 2 letters, 1 up to 5, 2 up to 8, 3 beyond.
int64_t bound(std::string_view a, std::string_view b) {
  return std::min<int64_t>(3, static_cast<int64_t>(std::max(a.size(), b.size())) / 3);
}

// Distance of two single names, or nothing where they have nothing to do with each other.
std::optional<int64_t> part_distance(std::string_view a, std::string_view b) {
  constexpr size_t kTellingPrefix = 3;
  const int64_t distance = edit_distance(a, b);
  if (distance <= bound(a, b)) return distance;
  const auto shorter = std::min(a.size(), b.size());
  if (shorter >= kTellingPrefix && a.substr(0, shorter) == b.substr(0, shorter)) return 3;  // batch, batch_size
  return std::nullopt;
}

// Sum over the parts of two dotted names, if each part is near; else by the last part alone, which costs more.
std::optional<int64_t> name_distance(std::string_view a, std::string_view b) {
  constexpr int64_t kOtherGroup = 10;
  const auto leaf = part_distance(leaf_of(a), leaf_of(b));
  if (!leaf) return std::nullopt;
  const auto group_a = parent_of(a), group_b = parent_of(b);
  if (group_a.empty() && group_b.empty()) return leaf;
  if (!group_a.empty() && !group_b.empty()) {
    const auto group = name_distance(group_a, group_b);
    if (group && *group < kOtherGroup) return *leaf + *group;
  }
  return *leaf + kOtherGroup + std::min<int64_t>(edit_distance(group_a, group_b), kOtherGroup);
}

}  // namespace

int64_t edit_distance(std::string_view a, std::string_view b) {
  const size_t rows = a.size() + 1, columns = b.size() + 1;
  std::vector<int64_t> table(rows * columns);
  const auto at = [&](size_t i, size_t j) -> int64_t& { return table[i * columns + j]; };
  for (size_t i = 0; i < rows; ++i) at(i, 0) = static_cast<int64_t>(i);
  for (size_t j = 0; j < columns; ++j) at(0, j) = static_cast<int64_t>(j);
  for (size_t i = 1; i < rows; ++i) {
    for (size_t j = 1; j < columns; ++j) {
      const int64_t differs = a[i - 1] == b[j - 1] ? 0 : 1;
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + differs});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
    }
  }
  return at(a.size(), b.size());
}

std::string closest(std::string_view name, const std::vector<std::string>& names) {
  constexpr size_t kLongestName = 200;  // beyond this it is not a name, and the table above grows with the square
  if (name.empty() || name.size() > kLongestName) return "";
  const std::string wanted = normalised(name);
  std::string best;
  int64_t best_distance = std::numeric_limits<int64_t>::max();
  for (const auto& candidate : names) {
    const auto distance = name_distance(wanted, normalised(candidate));
    if (!distance || *distance >= best_distance) continue;
    best_distance = *distance;
    best = candidate;
  }
  return best;
}

}  // namespace sdg::config
