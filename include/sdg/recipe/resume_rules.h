#pragma once
#include <string>
#include <vector>

#include "sdg/recipe/run_config.h"

namespace sdg::recipe {

/// What differs between the configuration that a run was stored with and the one it is to go on with, by what the
/// options' declarations say of resuming (config::Resume). Free options are left out.
struct ResumeChanges {
  std::vector<std::string> refused;  ///< "model.dim (32 -> 64)"
  std::string instead;               ///< of the first of these: what to do
  std::vector<std::string> said;     ///< "train.lr 0.002 -> 0.001"
};

ResumeChanges resume_changes(const RunConfig& stored, const RunConfig& wanted);

}  // namespace sdg::recipe
