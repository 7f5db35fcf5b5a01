#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/sample/options.h"
#include "sdg/study/search.h"

/// What `tune` varies.
namespace sdg::cli {

/// One way to draw: the options, and which weights.
struct TunedDrawing {
  sample::SampleOptions sample;
  double width = 0;        ///< of the average to draw with; 0: the run's own
  int64_t guide_step = 0;  ///< of the snapshot that guides; 0: none, the null condition does
};

/// An axis of the search and what its values do. Another one is a function that makes it, and a line in tune_axes().
struct TuneAxis {
  study::SearchAxis search;
  std::function<void(size_t value, TunedDrawing& drawing)> apply;
};

struct TuneAxisArguments {
  std::vector<double> guidance, begin, end, inner, widths;
  std::vector<int64_t> guides;
};
void declare_tune_axes(CLI::App& app, TuneAxisArguments& arguments);

/// The axes that this run has, the strength first; those of one value are left out. `note` takes one line a value that
/// cannot be had. Throws UsageError for values that were asked for and cannot.
std::vector<TuneAxis> tune_axes(const TuneAxisArguments& arguments, const checkpoint::Trained& trained,
                                const std::function<void(const std::string&)>& note);

/// What a point of the search draws.
TunedDrawing drawing_of(const std::vector<TuneAxis>& axes, const study::SearchPoint& point,
                        const sample::SampleOptions& own);

/// The point that draws the same: at a strength of 1 nothing guides, so what says how has its default.
study::SearchPoint same_drawing(const std::vector<TuneAxis>& axes, study::SearchPoint point,
                                const sample::SampleOptions& own);

}  // namespace sdg::cli
