#pragma once
#include <string>
#include <vector>

#include "sdg/report/chart.h"
#include "sdg/study/feature_study.h"

/// What a feature study found, as a table, as pictures and as the options that use it.
namespace sdg::study {

/// One column of the table.
struct Measure {
  const char* key;    ///< as in file names and JSON: "linear"
  const char* title;  ///< "linear probe accuracy"
  double FeatureRow::* value;
};
/// Those with at least one figure in the rows, in the order linear, knn, nmi, agreement.
std::vector<Measure> measures_in(const std::vector<FeatureRow>& rows);

/// Cells of the table, the heading first; "–" where there is no figure.
std::vector<std::vector<std::string>> feature_cells(const std::vector<FeatureRow>& rows);
/// Markdown; the best tap of each measure is bold.
std::string feature_table(const std::vector<FeatureRow>& rows);

/// Depth (down) by time (across) for one measure and pooling.
report::HeatMap feature_map(const std::vector<FeatureRow>& rows, const Measure& measure, const std::string& pooling);
/// Poolings of the rows in the order in which they first appear, without the raw pixels.
std::vector<std::string> poolings_in(const std::vector<FeatureRow>& rows);

/// The tap with the largest figure, null where no tap has one. The raw pixels are no tap.
const FeatureRow* best_tap(const std::vector<FeatureRow>& rows, const Measure& measure);
/// "--set cluster.depth=2 --set cluster.pooling=mean --set cluster.teacher_time=0.85"
std::string tap_options(const Tap& tap);

/// One JSON object: `head` (an object in JSON, what was measured and how), then rows and the best taps. Missing figures
/// are null.
std::string to_json(const std::vector<FeatureRow>& rows, const std::string& head);

}  // namespace sdg::study
