// Assignments of SwAV's public Sinkhorn-Knopp, alone and cut into the parts that several ranks hold.
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "sdg/cluster/sinkhorn.h"
#include "support/fixture.h"

using namespace sdg;
using test::Fixture;

namespace {
Tensor assignments_of(const Fixture& fixture, const nlohmann::json& run) {
  return cluster::sinkhorn(fixture.in(run.at("scores")), {.epsilon = run.at("eps"), .iterations = run.at("iters")})
      .assignments;
}
}  // namespace

TEST(SinkhornParity, AssignmentsAreThoseOfThePublicCode) {
  test::for_each_fixture("sinkhorn", [](Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("runs").items()) {
      const auto q = assignments_of(fixture, run);
      fixture.compare(name + ".q", q);
      if (fixture.has("out." + name + ".argmax")) fixture.compare(name + ".argmax", q.argmax(1));
    }
    fixture.expect_all_compared();
  });
}

TEST(SinkhornParity, TheWholeBatchGivesEachRankWhatItsOwnExchangeGave) {
  test::for_each_fixture("sinkhorn_ranks", [](Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("runs").items()) {
      const auto q = assignments_of(fixture, run);
      fixture.compare(name + ".full", q);
      const auto parts = q.chunk(run.at("world").get<int64_t>());
      for (size_t rank = 0; rank < parts.size(); ++rank) {
        for (const std::string code : {"swav", "sgfm"}) {
          fixture.compare(name + "." + code + ".rank" + std::to_string(rank), parts[rank]);
        }
      }
    }
    fixture.expect_all_compared();
  });
}
