#include "run/out_of_memory.h"

#include <c10/util/Exception.h>

#include <cstdio>
#include <regex>

#include "sdg/core/error.h"
#include "sdg/learn/learner.h"
#include "sdg/network/cost.h"

namespace sdg::run {
namespace {

constexpr double kGibibyte = 1 << 30;
constexpr double kUsable = 0.85;  // the rest is LibTorch's, its kernels' workspaces, and rounding

std::string in_gib(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", bytes / kGibibyte);
  return text;
}

double capacity_in(const std::string& reason) {
  std::smatch found;
  const std::regex capacity("total capacity of ([0-9.]+) (MiB|GiB)");
  if (!std::regex_search(reason, found, capacity)) return 0;
  return std::stod(found[1]) * (found[2] == "GiB" ? kGibibyte : kGibibyte / 1024);
}

}  // namespace

std::string out_of_memory(const recipe::RunConfig& config, int64_t gpus, const std::string& reason) {
  network::Machine machine;
  machine.gpus = gpus;
  auto smaller = config;
  const auto asked = network::estimate_cost(config, machine);
  const double capacity = capacity_in(reason);
  std::string out = cat(reason.substr(0, reason.find(". ")), ". This configuration takes about ",
                        in_gib(static_cast<double>(asked.bytes())), "; ");
  std::string last;
  for (const bool again : {config.model.activation_checkpointing, true}) {
    smaller.model.activation_checkpointing = again;
    for (int64_t images = asked.at_once; images >= 1; images /= 2) {
      smaller.train.micro_batch = images;
      const auto bytes = static_cast<double>(network::estimate_cost(smaller, machine).bytes());
      last = cat("about ", in_gib(bytes), " with train.micro_batch=", images,
                 again ? " and model.activation_checkpointing=true" : "");
      if (capacity > 0 ? bytes <= kUsable * capacity : images <= asked.at_once / 8)
        return cat(out, last, capacity > 0 ? cat(", which should fit into ", in_gib(capacity)) : std::string());
    }
  }
  return cat(out, "at least ", last, capacity > 0 ? ", which does not fit: take a smaller network" : "");
}

void telling(const recipe::RunConfig& config, int64_t ranks, int64_t step, int64_t saved_at,
             const std::function<void()>& work) {
  try {
    work();
  } catch (const c10::OutOfMemoryError& full) {
    throw Error(cat("step ", step, ": ", out_of_memory(config, ranks, full.what_without_backtrace())));
  } catch (const learn::BadStep& bad) {
    const auto lower = cat("--set train.lr=", config.train.lr / 2);
    throw Error(cat(bad.what(), saved_at < 0 ? cat("; no checkpoint was written yet: begin anew with ", lower)
                                             : cat("; the checkpoint of step ", saved_at,
                                                   " is as it was: go on from it with ", lower)));
  }
}

}  // namespace sdg::run
