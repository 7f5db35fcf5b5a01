#pragma once
namespace sdg::cli {
/// The program: parses the command line, runs one command, turns errors into one line on standard error.
/// Returns 0, 1 (failure) or 2 (the command was wrong).
int run(int argc, char** argv);
}  // namespace sdg::cli
