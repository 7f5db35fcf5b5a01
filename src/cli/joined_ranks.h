#pragma once
#include <CLI/CLI.hpp>
#include <chrono>
#include <exception>
#include <string>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/reducer.h"
#include "sdg/generate/generate.h"
#include "sdg/ranks/ranks.h"

/// The other processes that work on the same command, where torchrun, srun or `sdg launch` started several.
namespace sdg::cli {

/// How a command works with other ranks.
struct RankArguments {
  double patience = std::chrono::duration<double>(ranks::kPatience).count();  ///< seconds a rank waits for another one
  ranks::Exchange exchange = ranks::Exchange::kAuto;
};

/// Declares --patience and --exchange: that the command can be started as several ranks.
void declare_ranks(CLI::App& app, RankArguments& arguments);

/// Call before anything asks for devices: where there are several ranks, each sees one GPU of its machine only.
void see_own_device();

/// Meets the other ranks, if there are any; a rank other than the first falls silent. `device` is the name of the one
/// that this command computes on. Call once. It lasts until leave_ranks().
Reducer& join_ranks(const RankArguments& arguments, const std::string& device);
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
