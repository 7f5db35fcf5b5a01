#include "sdg/learn/beginnings.h"

#include <algorithm>
#include <exception>

#include "sdg/core/error.h"
#include "sdg/network/network.h"
#include "sdg/recipe/source.h"

namespace sdg::learn {

Beginnings::Beginnings(const recipe::RunConfig& config)
    : conditions_possible_(recipe::facts_of(config).conditions),
      online_(recipe::facts_of(config).online),
      head_(network::cluster_step(config)),
      conditions_(network::change_step(config)),
      rest_(network::rest_step(config)) {}

void Beginnings::begin_now(int64_t steps_done) {
  conditions_ = steps_done;
  came_early_ = true;
}

void Beginnings::save(tensors::TensorFile& file, int64_t steps_done) const {
  file.metadata["cluster_step"] = std::to_string(head_);
  if (resting(steps_done)) file.metadata["rest_step"] = std::to_string(rest_);
  file.metadata["change_step"] = std::to_string(conditions_);
  file.metadata["change_came"] = steps_done > conditions_ || came_early_ ? "yes" : "no";
}

void Beginnings::load(const tensors::TensorFile& file, const std::string& where, int64_t steps_done) {
  const auto stored = [&](const char* key) -> int64_t {
    const auto found = file.metadata.find(key);
    if (found == file.metadata.end()) return -1;
    try {
      return std::stoll(found->second);
    } catch (const std::exception&) {
      throw Error(cat(where, ": metadata `", key, "` must be a whole number, got ", found->second));
    }
  };
  if (const auto from = stored("cluster_step"); from >= 0 && from < steps_done) head_ = from;
  // Rest of a run that goes on without cluster.end is over.
  if (const auto from = stored("rest_step"); rest_ >= 0 && from >= 0) rest_ = from;
  const auto came = file.metadata.find("change_came");
  if (came != file.metadata.end() && came->second == "yes") {
    conditions_ = stored("change_step");
    came_early_ = true;
  } else {
    conditions_ = std::max(conditions_, steps_done);
  }
  head_ = std::min(head_, conditions_);
}

}  // namespace sdg::learn
