#include "sdg/study/search.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "sdg/core/error.h"
#include "study/search_budget.h"

namespace sdg::study {
namespace {

constexpr int64_t kRoundResamples = 40;   // of who may go: many pairs, and only clear cases count
constexpr size_t kBelow = 1, kAbove = 2;  // values of the first axis about the best

class Search {
 public:
  Search(const std::vector<SearchAxis>& axes, const DrawRows& draw, const metrics::Gaussian& reference,
         const SearchOptions& options)
      : axes_(axes), draw_(draw), reference_(reference), options_(options), budget_(options) {
    SDG_CHECK(!axes.empty(), "search: no axis");
    for (const auto& axis : axes) {
      SDG_CHECK(axis.start < axis.values.size() && (axis.places.empty() || axis.places.size() == axis.values.size()),
                "search: axis ", axis.name, " has ", axis.values.size(), " values");
      result_.start.push_back(axis.start);
    }
    result_.start = canonical(result_.start);
    result_.best = result_.start;
  }

  SearchResult run() {
    rows(result_.start, budget_.first_look());  // also tells the pace
    const auto all = budget_.all();
    const double looks = looks_planned();
    each_ = std::max(options_.least, whole_groups(kForLooks * all / looks));
    SDG_CHECK(2 * each_ <= budget_.left() + budget_.used(), "search: the budget is ",
              static_cast<int64_t>(std::floor(all)), " images, which are not enough for two settings of ", each_);
    for (size_t axis = 0; axis < axes_.size(); ++axis) {
      const auto candidates = candidates_of(axis);
      part(axis, candidates, kForHalving * all * static_cast<double>(candidates.size()) / looks);
    }
    if (axes_.size() > 1) part(0, candidates_of(0), kForHalving * all * values_of(0) / looks);
    prove(all);
    compare();
    mark_edges();
    result_.images = budget_.used();
    result_.seconds = budget_.seconds();
    return result_;
  }

 private:
  SearchPoint canonical(const SearchPoint& point) const {
    return options_.canonical ? options_.canonical(point) : point;
  }
  double values_of(size_t axis) const { return static_cast<double>(axes_[axis].values.size()); }

  double looks_planned() const {
    double out = values_of(0) * (axes_.size() > 1 ? 2 : 1);
    for (size_t k = 1; k < axes_.size(); ++k)
      out += (values_of(k) - 1) * (axes_[k].whole ? values_of(0) : std::min<double>(values_of(0), kBelow + kAbove + 1));
    return out;
  }

  // The point at which the part begins is one of them.
  std::vector<SearchPoint> candidates_of(size_t axis, bool narrow = false) const {
    const auto& best = result_.best;
    std::vector<SearchPoint> out;
    size_t from = 0, to = axes_[0].values.size();
    if (axis > 0 && !axes_[axis].whole) {
      from = best[0] - std::min(best[0], kBelow);
      to = std::min(to, best[0] + kAbove + 1);
    }
    if (narrow) from = best[0], to = best[0] + 1;
    for (size_t value = 0; value < axes_[axis].values.size(); ++value) {
      for (size_t first = from; first < to; ++first) {
        auto point = best;
        point[0] = first;
        if (axis > 0) point[axis] = value;
        if (axis == 0 && value != first) continue;
        point = canonical(point);
        if (std::find(out.begin(), out.end(), point) == out.end()) out.push_back(point);
      }
    }
    return out;
  }

  const Tensor& rows(const SearchPoint& point, int64_t count) {
    auto& known = rows_[point];
    const int64_t have = known.defined() ? known.size(0) : 0;
    if (have == 0) order_.push_back(point);
    if (have < count) {
      const auto more = draw_(point, have, count - have).to(at::kCPU, at::kDouble);
      known = have > 0 ? at::cat({known, more}) : more;
      budget_.spend(count - have);
    }
    return known;
  }
  // Few images are far, and by how much depends on the point: what is drawn more evenly gains more by more images.
  double distance(const SearchPoint& point, int64_t count) {
    const auto known = rows(point, count).narrow(0, 0, count);
    return metrics::frechet_distance(metrics::gaussian_of_rows(known), reference_) -
           metrics::frechet_bias(known, reference_);
  }

  int64_t cost(const std::vector<SearchPoint>& points, int64_t count) const {
    int64_t out = 0;
    for (const auto& point : points) {
      const auto found = rows_.find(point);
      out += std::max<int64_t>(0, count - (found == rows_.end() ? 0 : found->second.size(0)));
    }
    return out;
  }

  // Sorts by the distance of `count` images each.
  void rank(size_t axis, std::vector<SearchPoint>& points, int64_t count) {
    std::map<SearchPoint, double> distances;
    for (const auto& point : points) distances[point] = distance(point, count);
    std::stable_sort(points.begin(), points.end(),
                     [&](const auto& a, const auto& b) { return distances[a] < distances[b]; });
    SearchRound round{axis > 0 ? cat(axes_[axis].name, " and ", axes_[0].name) : axes_[0].name, count, points, {}};
    for (const auto& point : points) round.distances.push_back(distances[point]);
    result_.rounds.push_back(std::move(round));
  }

  void halve(std::vector<SearchPoint>& alive, int64_t count) {
    alive.resize((alive.size() + 1) / 2);
    const auto best = rows(alive.front(), count).narrow(0, 0, count);
    std::erase_if(alive, [&](const SearchPoint& point) {
      if (point == alive.front()) return false;
      const auto other = rows(point, count).narrow(0, 0, count);
      const auto apart = metrics::frechet_difference(other, best, reference_, kRoundResamples, options_.level);
      const double bias = metrics::frechet_bias(other, reference_) - metrics::frechet_bias(best, reference_);
      return apart.less(bias).low > 0;
    });
  }

  void part(size_t axis, std::vector<SearchPoint> alive, double share) {
    const double free = budget_.left() - kForProof * budget_.all();
    if (static_cast<double>(cost(alive, each_)) > free) alive = candidates_of(axis, /*narrow=*/true);
    if (static_cast<double>(cost(alive, each_)) > free) {
      if (cost(alive, each_) > 0) result_.left_out.push_back(axes_[axis].name);
      return;
    }
    int64_t count = each_;
    rank(axis, alive, count);
    for (double left = share; alive.size() > 1;) {
      const auto before = alive;
      halve(alive, count);
      if (alive.size() == 1) break;
      const auto more = std::min(count, whole_groups(left / static_cast<double>(alive.size())));
      const auto asked = cost(alive, count + more);
      if (more <= 0 || static_cast<double>(asked) > budget_.left() - kForProof * budget_.all()) break;
      left -= static_cast<double>(asked);
      count += more;
      rank(axis, alive, count);
    }
    result_.best = alive.front();
  }

  // On images that no point has drawn so far.
  void prove(double all) {
    int64_t first = 0;
    for (const auto& [point, known] : rows_) first = std::max(first, known.size(0));
    const bool one = result_.best == result_.start;
    const double points = one ? 1 : 2, wanted = std::max(kForProof * all, points * static_cast<double>(options_.least));
    const auto count = whole_groups(std::min(budget_.left(), wanted) / points);
    if (count < options_.least) return;
    const auto draw = [&](const SearchPoint& point) {
      const auto out = (options_.prove ? options_.prove : draw_)(point, first, count).to(at::kCPU, at::kDouble);
      budget_.spend(count);
      return out;
    };
    const auto interval = [&](const Tensor& all_rows) {
      return metrics::frechet_interval(all_rows, reference_, options_.resamples, options_.level);
    };
    SearchProof proof;
    proof.images = count;
    const auto start = draw(result_.start);
    proof.start = proof.best = interval(start);
    if (!one) {
      const auto best = draw(result_.best);
      proof.best = interval(best);
      proof.difference = metrics::frechet_difference(best, start, reference_, options_.resamples, options_.level);
    }
    result_.proof = proof;
  }

  void compare() {
    result_.compared = each_;
    for (const auto& point : order_) {
      const auto& known = rows_.at(point);
      if (known.size(0) < each_) continue;
      const auto compared = known.narrow(0, 0, each_);
      const auto interval = metrics::frechet_interval(compared, reference_, options_.resamples, options_.level);
      result_.points.push_back({point, known.size(0), interval.less(metrics::frechet_bias(compared, reference_))});
    }
  }

  void mark_edges() {
    for (size_t k = 0; k < axes_.size(); ++k) {
      const auto& axis = axes_[k];
      const auto value = result_.best[k];
      if (!axis.rises_from || value < *axis.rises_from || axis.values.size() < *axis.rises_from + 2) continue;
      if ((value == *axis.rises_from && !axis.first_ends) || (value + 1 == axis.values.size() && !axis.last_ends))
        result_.at_edge.push_back(axis.name);
    }
  }

  const std::vector<SearchAxis>& axes_;
  const DrawRows& draw_;
  const metrics::Gaussian& reference_;
  const SearchOptions& options_;
  Budget budget_;
  std::map<SearchPoint, Tensor> rows_;  // [images, F] float64
  std::vector<SearchPoint> order_;
  int64_t each_ = 0;
  SearchResult result_;
};

}  // namespace

bool SearchResult::within_noise() const {
  return best != start && (!proof || !proof->difference || proof->difference->high >= 0);
}

SearchResult search(const std::vector<SearchAxis>& axes, const DrawRows& draw, const metrics::Gaussian& reference,
                    const SearchOptions& options) {
  const at::NoGradGuard no_grad;
  return Search(axes, draw, reference, options).run();
}

}  // namespace sdg::study
