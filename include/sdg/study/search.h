#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sdg/core/progress.h"
#include "sdg/core/tensor.h"
#include "sdg/metrics/frechet_spread.h"

/// The setting of the lowest Fréchet distance, within a budget, by functions that draw: it knows neither networks nor
/// options.
namespace sdg::study {

/// One thing that is searched.
struct SearchAxis {
  std::string name;                    ///< "guidance"
  std::vector<std::string> values;     ///< as they are said
  std::vector<double> places;          ///< of the values, for charts; empty: they are names
  std::optional<size_t> rises_from{};  ///< values from this one on rise, so that the range has edges; none: no order
  size_t start = 0;                    ///< which of them is the default
  bool first_ends = false, last_ends = false;  ///< is there nothing beyond the first or the last value (time 0 or 1)
  bool whole = false;  ///< with each of its values all values of the first axis are tried, and not only those near the
                       ///< best: it decides what the first one means, as what guides does for the strength
};

/// The number of a value on each axis.
using SearchPoint = std::vector<size_t>;

/// Features [count, F] of images first … first + count - 1 drawn at a point; image i begins with the same noise at all
/// points. Both numbers are multiples of 16.
using DrawRows = std::function<Tensor(const SearchPoint& point, int64_t first, int64_t count)>;

/// The first that is above 0 counts.
struct SearchBudget {
  int64_t images = 0;
  double seconds = 0;
};

struct SearchOptions {
  SearchBudget budget;
  int64_t least = 64;       ///< images of a point, at least
  int64_t resamples = 100;  ///< of intervals
  double level = 0.95;
  /// The point that draws the same images and stands for this one, as where a strength of 1 leaves an interval without
  /// effect; empty: each stands for itself.
  std::function<SearchPoint(const SearchPoint&)> canonical{};
  DrawRows prove{};                   ///< draws the images of the proof; empty: as all others are drawn
  std::function<double()> seconds{};  ///< that drawing has taken so far; needed for a budget of seconds
  Progress progress{};                ///< images drawn, of how many
};

/// A point that was tried. The values of all points are of the same number of the same images, less their bias: a
/// distance of few images is above that of many, the more the wider a point draws (frechet_bias).
struct SearchedPoint {
  SearchPoint point;
  int64_t images = 0;  ///< that were drawn in all
  metrics::FrechetInterval distance;
};

/// One round of halving: who was compared on how many images, the nearest first, less the bias.
struct SearchRound {
  std::string about;  ///< names of the axes
  int64_t images = 0;
  std::vector<SearchPoint> points;
  std::vector<double> distances;
};

/// What was found, measured anew on images that played no part in finding it: distances of so many images as they are.
struct SearchProof {
  int64_t images = 0;
  metrics::FrechetInterval best, start;
  std::optional<metrics::FrechetInterval> difference;  ///< best less start, in pairs; none where they are one
};

struct SearchResult {
  std::vector<SearchedPoint> points;  ///< in the order in which they were first tried
  int64_t compared = 0;               ///< images of each in `points`
  std::vector<SearchRound> rounds;
  SearchPoint start, best;
  std::optional<SearchProof> proof;  ///< none where the budget left nothing for it
  int64_t images = 0;                ///< drawn in all
  double seconds = 0;
  std::vector<std::string> left_out;  ///< axes for which the budget was too small
  std::vector<std::string> at_edge;   ///< axes on which the best value is the last before unsearched ones

  bool within_noise() const;  ///< is the best not clearly better than the start
};

/// Goes along the axes, each together with the first: the first alone from the start; then each other one with the
/// values of the first about the best so far; last the first again. In each part all candidates are drawn a little, the
/// worse half and what is clearly worse than the best (its paired bootstrap interval does not reach 0) go, and the
/// others are drawn on, to twice as many images, as long as its part of the budget lasts (successive halving: Jamieson
/// and Talwalkar, 2016). About half of the budget is for first looks, three tenths for halving and two for the proof.
/// Throws Error for no axis, an axis without values, and a budget that is not enough for two points.
SearchResult search(const std::vector<SearchAxis>& axes, const DrawRows& draw, const metrics::Gaussian& reference,
                    const SearchOptions& options);

}  // namespace sdg::study
