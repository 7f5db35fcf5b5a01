#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "sdg/core/reducer.h"

/// Processes that work on one run together, each a rank.
namespace sdg::ranks {

/// This process's place among them.
struct Place {
  int64_t rank = 0;        ///< 0 … ranks - 1
  int64_t ranks = 1;       ///< processes in all
  int64_t local_rank = 0;  ///< among those of this machine
  std::string host;        ///< where all find each other, and its TCP port
  int64_t port = 0;
  bool hosted = false;  ///< the launcher answers there; else rank 0 does
  int64_t attempt = 0;  ///< how often the launcher has started the ranks anew
};

/// What torchrun says in RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT (and TORCHELASTIC_USE_AGENT_STORE,
/// TORCHELASTIC_RESTART_COUNT); nothing where neither RANK nor WORLD_SIZE is set. Throws UsageError, naming the
/// variable, for values that cannot be.
std::optional<Place> place_from_environment();

/// Can this build connect ranks? It needs Gloo's headers.
bool can_connect();

/// Meets the other ranks, all of which call this. The exchange goes through main memory over TCP (c10d with Gloo), on
/// the interface GLOO_SOCKET_IFNAME where that is set. Whoever waits longer than `patience` for another rank, here or
/// in a call of the Reducer, throws Error; so do at once all that exchange with a rank whose process has ended. With
/// one rank no connection is made. Throws Error where can_connect() is false.
std::shared_ptr<Reducer> connect(const Place& place, std::chrono::milliseconds patience = std::chrono::minutes(10));

}  // namespace sdg::ranks
