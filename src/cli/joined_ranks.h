#pragma once
#include <CLI/CLI.hpp>
#include <exception>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/reducer.h"
#include "sdg/generate/generate.h"

/// The other processes that work on the same command, where torchrun, srun or `sdg launch` started several.
namespace sdg::cli {

/// Declares --patience, the seconds for which a rank waits for another one.
void declare_patience(CLI::App& app, double& seconds);

/// Call before anything asks for devices: where there are several ranks, each sees one GPU of its machine only.
void see_own_device();

/// Meets the other ranks, if there are any; a rank other than the first falls silent. Call once. It lasts until
/// leave_ranks().
Reducer& join_ranks(double patience);
/// The command has ended well.
void leave_ranks();

/// What a rank other than the first does while the first draws; an exit code.
int help_draw(const checkpoint::Trained& trained, const generate::Request& request, const at::Device& device);

/// Throws UsageError where this process is one of several ranks: `command` is done by one.
void check_alone(const std::string& command);

/// Also where this process is the only one.
bool is_first_rank();
/// Of a failure the first rank speaks, another one only where the first was lost.
bool speaks_of(const std::exception& failure);
/// Tells the other ranks of a failure, if there are any, and then ends the program: destructors would wait for ranks
/// that never come. Returns where there is only one.
void end_failed_rank(const std::exception& failure, int code);

}  // namespace sdg::cli
