#pragma once
#include <functional>
#include <string>

#include "sdg/recipe/run_config.h"
#include "sdg/run/trainer.h"

namespace sdg::run {

/// Where conditions begin with this step (`change`), says what the agreement of clusters was: it tells whether they can
/// guide. Warns where it is less than condition.stable asks for.
void say_of_change(const StepReport& report, const recipe::RunConfig& config, int64_t change,
                   const std::function<void(const std::string&)>& on_event);

}  // namespace sdg::run
