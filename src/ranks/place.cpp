#include <charconv>
#include <cstdlib>

#include "sdg/core/error.h"
#include "sdg/ranks/ranks.h"

namespace sdg::ranks {
namespace {

std::string text_of(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

int64_t number_of(const char* name, int64_t least, int64_t most) {
  const auto text = text_of(name);
  int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  SDG_CHECK_USAGE(failed == std::errc() && end == text.data() + text.size() && number >= least && number <= most,
                  "environment variable ", name, ": expected a whole number from ", least, " to ", most, ", got '",
                  text, "'");
  return number;
}

int64_t number_or(const char* name, int64_t otherwise, int64_t least, int64_t most) {
  return text_of(name).empty() ? otherwise : number_of(name, least, most);
}

constexpr int64_t kMost = 1 << 20;

// What both say, each under names of its own; MASTER_ADDR under one.
Place numbers_of(const char* ranks, const char* rank, const char* local_rank, const char* attempt) {
  Place place;
  place.ranks = number_of(ranks, 1, kMost);
  place.rank = number_of(rank, 0, place.ranks - 1);
  place.local_rank = number_or(local_rank, 0, 0, place.ranks - 1);
  if (place.ranks == 1) return place;
  place.host = text_of("MASTER_ADDR");
  place.attempt = number_or(attempt, 0, 0, kMost);
  return place;
}

Place place_of_torchrun() {
  auto place = numbers_of("WORLD_SIZE", "RANK", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT");
  if (place.ranks == 1) return place;
  SDG_CHECK_USAGE(!place.host.empty(),
                  "environment variable MASTER_ADDR: expected the address of rank 0, as WORLD_SIZE is ", place.ranks);
  place.port = number_of("MASTER_PORT", 1, 65535);
  place.hosted = text_of("TORCHELASTIC_USE_AGENT_STORE") == "True";
  return place;
}

Place place_of_slurm() {
  auto place = numbers_of("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_RESTART_COUNT");
  if (place.ranks == 1) return place;
  if (place.host.empty()) place.host = first_machine(text_of("SLURM_STEP_NODELIST"));
  SDG_CHECK_USAGE(!place.host.empty(), "environment variable MASTER_ADDR: expected the address of rank 0, as ",
                  "SLURM_STEP_NODELIST names no machine");
  constexpr int64_t kFirstPort = 20000, kPorts = 10000;  // below those that Linux gives out itself
  const auto job = number_or("SLURM_JOB_ID", 0, 0, int64_t{1} << 40) + number_or("SLURM_STEP_ID", 0, 0, kMost);
  place.port = number_or("MASTER_PORT", kFirstPort + job % kPorts, 1, 65535);
  return place;
}

}  // namespace

std::string first_machine(const std::string& list) {
  const auto bracket = list.find_first_of("[,");
  if (bracket == std::string::npos || list[bracket] == ',') return list.substr(0, bracket);
  const auto end = list.find_first_of("-,]", bracket);
  const auto close = list.find(']', bracket);
  if (close == std::string::npos) return {};
  const auto after = list.substr(
      close + 1, list.find(',', close) == std::string::npos ? std::string::npos : list.find(',', close) - close - 1);
  return list.substr(0, bracket) + list.substr(bracket + 1, end - bracket - 1) + after;
}

std::optional<Place> place_from_environment() {
  if (!text_of("RANK").empty() || !text_of("WORLD_SIZE").empty()) return place_of_torchrun();
  // SLURM_NTASKS is there in a batch script too, which is one process and not one of many.
  if (!text_of("SLURM_STEP_NUM_TASKS").empty() && !text_of("SLURM_PROCID").empty()) return place_of_slurm();
  return std::nullopt;
}

}  // namespace sdg::ranks
