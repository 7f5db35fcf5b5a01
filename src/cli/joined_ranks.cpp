#include "cli/joined_ranks.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "cli/declared.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "cli/visible_device.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/io/signal_safe.h"
#include "sdg/ranks/ranks.h"

namespace sdg::cli {
namespace {

struct Joined {
  std::optional<ranks::Place> place;
  std::shared_ptr<Reducer> reducer;
};

// Never destroyed but by leave_ranks(): see end_failed_rank.
Joined& joined() {
  static auto* all = new Joined;
  return *all;
}

bool one_of_several() {
  return joined().place && joined().place->ranks > 1;
}

// Nothing where variables of those names mean something else.
std::optional<ranks::Place> place_if_any() {
  try {
    return ranks::place_from_environment();
  } catch (const UsageError&) {
    return std::nullopt;
  }
}

}  // namespace

void declare_ranks(CLI::App& app, RankArguments& arguments) {
  app.add_option("--patience", arguments.patience,
                 cat("over several ranks: seconds after which a rank that does not come ends the run on all; default ",
                     arguments.patience))
      ->type_name("S")
      ->check(CLI::Range(2.0, 86400.0));
  declare(app, "--exchange", arguments.exchange,
          own<ranks::Exchange>({.help = "over several ranks: how tensors on GPUs go from one to the other: nccl, gloo "
                                        "(through main memory) or auto, which is nccl where this build has it"}));
}

void see_own_device() {
  const auto place = place_if_any();
  if (!place || place->ranks == 1) return;
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  ::setenv("CUDA_VISIBLE_DEVICES", visible_device(visible ? visible : "", place->local_rank).c_str(), 1);
}

Reducer& join_ranks(const RankArguments& arguments, const std::string& device) {
  auto& all = joined();
  all.place = ranks::place_from_environment();
  if (!one_of_several()) return Reducer::local();
  all.reducer = ranks::connect(*all.place, std::chrono::milliseconds(static_cast<int64_t>(arguments.patience * 1000)));
  const auto chosen = ranks::choose_exchange(arguments.exchange, parse_device(device), ranks::why_no_nccl());
  const auto all_chosen = all.reducer->all_gather_alike(at::full({1}, chosen.nccl ? 1 : 0, at::kLong));
  SDG_CHECK_USAGE(
      at::equal(all_chosen, at::full_like(all_chosen, all_chosen[0].item<int64_t>())),
      "some ranks would exchange by NCCL and some through main memory: they need one --exchange, devices of "
      "one kind and one build");
  if (chosen.nccl) ranks::exchange_on_gpus(*all.reducer);
  if (!chosen.note.empty()) warn(chosen.note);
  return *all.reducer;
}

void leave_ranks() {
  joined().reducer.reset();
}

int help_draw(const checkpoint::Trained& trained, const generate::Request& request, const at::Device& device) {
  catch_signals();  // the first rank ends all
  while (generate::help(trained.info.config, trained.network, trained.prior, device, request)) {
  }
  leave_ranks();
  return 0;
}

void check_alone(const std::string& command) {
  const auto place = place_if_any();
  SDG_CHECK_USAGE(!place || place->ranks == 1, "sdg ", command, " is done by one process, and ", place->ranks,
                  " were started (RANK, WORLD_SIZE): start it without torchrun, srun or sdg launch");
}

bool is_first_rank() {
  const auto place = place_if_any();
  return !place || place->rank == 0;
}

bool speaks_of(const std::exception& failure) {
  return is_first_rank() || dynamic_cast<const ranks::FirstRankLost*>(&failure) != nullptr;
}

void end_failed_rank(const std::exception& failure, int code) {
  if (!one_of_several()) return;
  if (joined().reducer && !dynamic_cast<const RankError*>(&failure))
    ranks::tell_failure(*joined().reducer, failure.what());
  io::remove_unfinished_files();
  std::fflush(nullptr);
  std::_Exit(code);
}

}  // namespace sdg::cli
