#pragma once
#include <string>
#include <vector>

#include "sdg/report/svg.h"
#include "sdg/study/search.h"

/// What a search found, for people: all points, not only the best.
namespace sdg::study {

/// "guidance 1.5, begin 0.2": what is said of a point, of all axes.
std::string point_text(const std::vector<SearchAxis>& axes, const SearchPoint& point);

/// Markdown: a row a point, the nearest first, with its interval and how many images it was drawn to in all.
std::string search_table(const std::vector<SearchAxis>& axes, const SearchResult& result, const std::string& metric);

/// A chart an axis: the distance over the first axis from the start and at the best of the others; over each other one
/// the lowest of each of its values.
std::vector<report::SvgChart> search_charts(const std::vector<SearchAxis>& axes, const SearchResult& result,
                                            const std::string& metric);

/// The best, how it compares on images of its own, and one warning a line of what to mistrust.
std::vector<std::string> search_findings(const std::vector<SearchAxis>& axes, const SearchResult& result,
                                         const std::string& metric);
std::vector<std::string> search_warnings(const std::vector<SearchAxis>& axes, const SearchResult& result);

}  // namespace sdg::study
