#pragma once
#include <CLI/CLI.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sdg/config/value.h"
#include "sdg/sample/options.h"

/// The options of drawing (group `sample` of a run) on command lines, written from their declarations: an option that
/// is declared there is a flag here.
namespace sdg::cli {

/// Options that were given, by name; the others are the run's.
using SampleValues = std::map<std::string, config::Value>;

/// "--guidance-channels" of guidance_channels; the two times of an interval share --guidance-interval.
std::string sample_flag(const std::string& name);
/// The flags of all of them.
std::vector<std::string> sample_flags();

/// Declares a flag for each but `without`. `count` is the run's option that --count stands for.
void declare_sample(CLI::App& app, SampleValues& given, const std::string& count,
                    const std::set<std::string>& without = {});

/// Lays what was given over the options.
void lay_over(sample::SampleOptions& options, const SampleValues& given);

/// What a sweep varies: one flag, and each of its values with what it sets.
struct SampleAxis {
  std::vector<std::string> names;  ///< the options it sets: one, or the two of an interval
  std::vector<SampleValues> values;
};

/// Declares a list with commas between for each option that decides the images, but for the count; what comes twice (1
/// and 1.0) counts once. `axes` are in the order in which a sweep nests them, the innermost last.
void declare_sample_lists(CLI::App& app, std::vector<SampleAxis>& axes);

}  // namespace sdg::cli
