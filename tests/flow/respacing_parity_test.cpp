// guided-diffusion's respacing (shared/fixtures gd_schedules).
#include <gtest/gtest.h>
#include <torch/types.h>

#include <sstream>

#include "sdg/flow/respacing.h"
#include "support/fixture.h"

using namespace sdg;

TEST(RespacingParity, KeepsTheStepsOfThePublicCode) {
  test::for_each_fixture("gd_schedules", [](test::Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("runs").items()) {
      if (run.at("steps") != 1000 || !run.at("respacing").is_string()) continue;
      const std::string text = run.at("respacing");
      std::vector<int64_t> counts;
      std::istringstream parts(text.starts_with("ddim") ? "" : text);
      for (std::string part; std::getline(parts, part, ',');) counts.push_back(std::stoll(part));
      const auto steps =
          counts.empty() ? flow::strided_steps(std::stoll(text.substr(4))) : flow::respaced_steps(counts);
      fixture.compare(name + ".timestep_map", at::tensor(steps, at::kLong));
    }
  });
}
