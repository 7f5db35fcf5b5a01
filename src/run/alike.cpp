#include "run/alike.h"

#include <sstream>

#include "sdg/core/error.h"

namespace sdg::run {
namespace {

std::string trimmed(const std::string& line) {
  const auto first = line.find_first_not_of(' ');
  return first == std::string::npos ? std::string() : line.substr(first);
}

// Lines of YAML say their option but not the section it stands in: the last line that is indented less does.
std::string first_difference(const std::string& ours, const std::string& theirs) {
  std::istringstream a(ours), b(theirs);
  std::string section;
  while (a || b) {
    std::string left, right;
    std::getline(a, left);
    std::getline(b, right);
    if (!left.empty() && left[0] != ' ') section = left.substr(0, left.find(':'));
    if (left == right) continue;
    const auto in = left.empty() || left[0] != ' ' ? std::string() : section + ".";
    return cat("'", in, trimmed(right), "' instead of '", in, trimmed(left), "'");
  }
  return "no difference in its lines";
}

}  // namespace

void check_alike(const std::string& what, const std::string& text, Reducer& reducer) {
  if (reducer.ranks() == 1) return;
  const auto all = all_gather_texts(text, reducer);
  for (size_t rank = 1; rank < all.size(); ++rank) {
    SDG_CHECK_USAGE(all[rank] == all[0], "rank ", rank, " has another ", what,
                    " than rank 0: ", first_difference(all[0], all[rank]));
  }
}

}  // namespace sdg::run
