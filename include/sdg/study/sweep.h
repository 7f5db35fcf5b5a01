#pragma once
#include <string>
#include <vector>

#include "sdg/report/chart.h"
#include "sdg/sample/options.h"

/// What a sweep over sampling settings found: rows, and the table and chart made of them.
namespace sdg::study {

/// One measured point. Rows that differ only in the run or the seed are repetitions of each other.
struct SweepRow {
  std::string label;       ///< what the run stands for, e.g. "online"
  std::string checkpoint;  ///< file
  int64_t step = 0;        ///< training steps of that checkpoint
  sample::SampleOptions sample;
  std::string metric;     ///< "FD-digits", "FID", …
  std::string reference;  ///< what the distance is to and how it was looked at, where not the run's own choice
  std::string content;    ///< digest of all that decides the value besides the settings above: the network, what it
                          ///< decodes with, the statistics of the reference, the extractor
  double value = 0;

  bool operator==(const SweepRow&) const = default;
};

/// One line of JSON, and back; parse throws Error that begins with `where`. The options are keys of the line by their
/// names, those without effect are left out; an option that an earlier version did not know has its default.
std::string to_json(const SweepRow& row);
SweepRow parse_sweep_row(const std::string& line, const std::string& where);

/// Does a line hold a value that was measured? Earlier versions stored failures as null.
bool is_measured(const std::string& line);

/// Are these the same settings of the same content, wherever the files lie? Options without effect do not count. Rows
/// without content equal none.
bool same_point(const SweepRow& a, const SweepRow& b);

/// Repetitions of one setting, joined.
struct SweepGroup {
  SweepRow setting;  ///< value is the mean
  double low = 0, high = 0;
  int64_t repetitions = 0;
};
/// In the order in which the settings first appear.
std::vector<SweepGroup> group_repetitions(const std::vector<SweepRow>& rows);

/// Markdown: a row for each setting but the guidance, a column for each guidance; mean and, of several repetitions, the
/// range. The best of each row is bold. A point stands in every row that differs from it only in what has no effect
/// there, such as the interval of guidance 1.
std::string sweep_table(const std::vector<SweepRow>& rows);

/// Distance over guidance (over solver steps, if those are what varies), one line a label and remaining setting. A
/// solver that chooses its own steps is a level line.
report::LineChart sweep_chart(const std::vector<SweepRow>& rows);

/// The setting of the lowest mean, as a sentence.
std::string sweep_best(const std::vector<SweepRow>& rows);

}  // namespace sdg::study
