#include "run/change_report.h"

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/recipe/source.h"

namespace sdg::run {

void say_of_change(const StepReport& report, const recipe::RunConfig& config, int64_t change,
                   const std::function<void(const std::string&)>& on_event) {
  const auto& result = report.result;
  if (!report.read || report.step != change || !recipe::facts_of(config).online) return;
  const auto begin = cat("step ", report.step, ": conditions begin");
  if (result.agreement < 0) {
    if (on_event) on_event(cat(begin, "; too few images were seen twice to say whether their clusters hold still"));
    return;
  }
  const auto message = cat(begin, "; ", std::round(1000 * result.agreement) / 10,
                           " % of the images keep their cluster from one look to the next");
  if (config.condition.stable > 0 && !result.stable_now) {
    log::warning(cat(message, ", less than the ", 100 * config.condition.stable,
                     " % asked for (condition.stable): clusters that flicker guide badly"));
  } else if (on_event) {
    on_event(message);
  }
}

}  // namespace sdg::run
