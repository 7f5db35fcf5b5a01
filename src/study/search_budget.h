#pragma once
#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/study/search.h"

namespace sdg::study {

/// Shares of the budget: first looks at all points, going on with the better ones, the proof of the best.
constexpr double kForLooks = 0.5, kForHalving = 0.3, kForProof = 0.2;

/// Images that are drawn together on a CPU.
constexpr int64_t kGroup = 16;
inline int64_t whole_groups(double images) {
  return images < 1 ? 0 : static_cast<int64_t>(images) / kGroup * kGroup;
}

/// What may still be drawn. A budget of seconds counts as the images that fit into it at the pace so far.
class Budget {
 public:
  explicit Budget(const SearchOptions& options) : options_(options) {
    SDG_CHECK(options.budget.images > 0 || (options.budget.seconds > 0 && options.seconds),
              "search: a budget of images or of seconds is needed");
  }

  /// Images of the very first point, by which a budget of seconds learns the pace.
  int64_t first_look() const {
    const auto few = std::max(kGroup, options_.least / kGroup * kGroup);
    return options_.budget.images > 0 ? std::min(few, std::max(kGroup, whole_groups(0.5 * all()))) : few;
  }
  int64_t used() const { return used_; }
  double seconds() const { return options_.seconds ? options_.seconds() : 0; }
  double all() const { return static_cast<double>(used_) + left(); }
  double left() const {
    if (options_.budget.images > 0) return static_cast<double>(options_.budget.images - used_);
    const double so_far = seconds(), pace = static_cast<double>(used_) / std::max(so_far, 1e-3);
    return std::max(0.0, (options_.budget.seconds - so_far) * pace);
  }
  void spend(int64_t images) {
    used_ += images;
    if (options_.progress) options_.progress(used_, used_ + static_cast<int64_t>(left()));
  }

 private:
  const SearchOptions& options_;
  int64_t used_ = 0;
};

}  // namespace sdg::study
