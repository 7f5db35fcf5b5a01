#include <algorithm>
#include <cstdio>

#include "sdg/core/error.h"
#include "sdg/network/cost.h"

namespace sdg::network {
namespace {

std::string gibibytes(int64_t bytes) {
  char text[32];
  const double mebi = static_cast<double>(bytes) / (1 << 20);
  if (mebi < 1024) {
    std::snprintf(text, sizeof text, "%.0f MiB", std::max(1.0, mebi));
  } else {
    std::snprintf(text, sizeof text, "%.1f GiB", mebi / 1024);
  }
  return text;
}

std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string rounded(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string memory(const Cost& cost) {
  auto out = cat("# memory           ", gibibytes(cost.bytes()), cost.ranks > 1 ? " a rank: " : ": ",
                 gibibytes(cost.state_bytes), " of weights, gradient, average and optimizer, ",
                 gibibytes(cost.shard_bytes), " of gradients under way, ");
  if (cost.tracked_bytes > 0) out += cat(gibibytes(cost.tracked_bytes), " of averages for any width, ");
  if (cost.cast_bytes > 0) out += cat(gibibytes(cost.cast_bytes), " of bf16 weights, ");
  out += cat("about ", gibibytes(cost.activation_bytes), " of activations (", cost.at_once, " images at once)");
  if (cost.unsharded_bytes > cost.state_bytes)
    out += cat("; train.shard_state saves ", gibibytes(cost.unsharded_bytes - cost.state_bytes),
               cost.average_sharded ? " of optimizer and average" : " of optimizer (steps look through the average)");
  if (cost.kept_bytes > 0) out += cat("; ", gibibytes(cost.kept_bytes), " of kept clusters in the host's memory");
  return out + "\n";
}

std::string averages(const Cost& cost) {
  if (cost.tracked_bytes == 0) return "";
  return cat("# averages         ", gibibytes(cost.snapshot_bytes), " on disk at the end: ", cost.snapshots,
             " snapshots, one every ", cost.snapshot_spacing, " steps; each checkpoint is larger by two averages\n");
}

std::string time(const Cost& cost) {
  if (cost.days <= 0) return "# time             unknown: --card or --tflops says how fast a rank is\n";
  const auto length = cost.days >= 1 ? rounded("%.1f days", cost.days) : rounded("%.1f hours", 24 * cost.days);
  return cat("# time             ", length, " on ", cost.ranks, cost.ranks > 1 ? " ranks" : " rank", " of ",
             rounded("%.3g", cost.tflops), " TFLOP/s", cost.card.empty() ? "" : cat(" (", cost.card, ", assumed)"),
             ", exchange of gradients, data and pictures left out\n");
}

}  // namespace

std::string to_text(const Cost& cost) {
  auto out = cat("# parameters       ", grouped(cost.parameters), "\n# multiply-adds    ", grouped(cost.macs),
                 " a forward pass of one image\n", memory(cost), averages(cost), "# FLOP             ",
                 rounded("%.3g", cost.step_flop), " a step, of all ranks\n", time(cost));
  if (cost.images > 0) {
    out += cat("# steps per epoch  ", rounded("%.2f", cost.steps_per_epoch), " (", grouped(cost.images), " images)\n");
  } else {
    out += cat("# steps per epoch  unknown: ", cost.note, "\n");
  }
  return out;
}

}  // namespace sdg::network
