#pragma once
#include <CLI/CLI.hpp>

namespace sdg::cli {

/// Before a command begins: the files that its options ask it to write can be written and end as the options say
/// (FILE.png), and none of them is a file that it reads, one of a run, or somebody else's. Throws UsageError.
void check_outputs(const CLI::App& command);

}  // namespace sdg::cli
