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

}  // namespace

std::optional<Place> place_from_environment() {
  if (text_of("RANK").empty() && text_of("WORLD_SIZE").empty()) return std::nullopt;
  Place place;
  place.ranks = number_of("WORLD_SIZE", 1, 1 << 20);
  place.rank = number_of("RANK", 0, place.ranks - 1);
  if (!text_of("LOCAL_RANK").empty()) place.local_rank = number_of("LOCAL_RANK", 0, place.ranks - 1);
  if (place.ranks == 1) return place;
  place.host = text_of("MASTER_ADDR");
  SDG_CHECK_USAGE(!place.host.empty(),
                  "environment variable MASTER_ADDR: expected the address of rank 0, as WORLD_SIZE is ", place.ranks);
  place.port = number_of("MASTER_PORT", 1, 65535);
  place.hosted = text_of("TORCHELASTIC_USE_AGENT_STORE") == "True";
  if (!text_of("TORCHELASTIC_RESTART_COUNT").empty())
    place.attempt = number_of("TORCHELASTIC_RESTART_COUNT", 0, 1 << 20);
  return place;
}

}  // namespace sdg::ranks
