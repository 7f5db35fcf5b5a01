#pragma once
#include <array>
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
/// TORCHELASTIC_RESTART_COUNT), or else srun in SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID and
/// SLURM_STEP_NODELIST, where MASTER_ADDR defaults to the step's first machine and MASTER_PORT to a number made of
/// SLURM_JOB_ID. Nothing where neither started this process. Throws UsageError, naming the variable, for values that
/// cannot be.
std::optional<Place> place_from_environment();

/// The first of SLURM's list of machines: "node[07-09,12],gpu1" -> "node07".
std::string first_machine(const std::string& list);

/// Can this build connect ranks? It needs Gloo's headers.
bool can_connect();

/// How long a rank waits for another one, and how long a launcher lets the others end by themselves once one has
/// failed, before it asks them (SIGTERM) and, after as long again, ends them (SIGKILL). With the seconds that finding
/// out takes, all are gone within a minute of the moment in which one of them stopped.
inline constexpr std::chrono::seconds kPatience{40}, kGrace{5};

/// It is rank 0 that was lost, which otherwise speaks for all.
class FirstRankLost : public RankError {
 public:
  using RankError::RankError;
};

/// Meets the other ranks, all of which call this. The exchange goes through main memory over TCP (c10d with Gloo), on
/// the interface GLOO_SOCKET_IFNAME where that is set; see exchange_on_gpus. While the connection lives a thread gives
/// signs of life in the store that all ranks share. Where another rank ends, or does not come within `patience`, to the
/// meeting or to a call of the Reducer, all throw RankError, which says which rank it was and where it was last. With
/// one rank no connection is made. Throws Error where can_connect() is false.
std::shared_ptr<Reducer> connect(const Place& place, std::chrono::milliseconds patience = kPatience);

/// Before this rank ends for a reason of its own: the others are told it instead of finding out that it has gone.
void tell_failure(Reducer& reducer, const std::string& why);

/// How tensors that lie on GPUs are exchanged.
enum class Exchange {
  kAuto,  ///< by NCCL where the device is a GPU and this build has NCCL, else by Gloo
  kGloo,  ///< through main memory
  kNccl,  ///< from GPU to GPU
};
constexpr auto names_of(Exchange) {
  return std::array{"auto", "gloo", "nccl"};
}

/// Why this build has no NCCL, in words; empty where it has.
std::string why_no_nccl();

/// What comes of a wish.
struct ChosenExchange {
  bool nccl = false;
  std::string note{};  ///< what a user should know of it; empty where nothing
};
/// `missing` is why_no_nccl(). Throws UsageError where NCCL is wanted and cannot be had.
ChosenExchange choose_exchange(Exchange wanted, const at::Device& device, const std::string& missing);

/// From now on tensors on GPUs are exchanged by NCCL; those in main memory go on as before. All ranks call this, each
/// with a GPU of its own as the current one. Needs why_no_nccl() to be empty. A no-op with one rank.
void exchange_on_gpus(Reducer& reducer);

}  // namespace sdg::ranks
