// Assignments of SwAV's public Sinkhorn-Knopp, alone and cut into the parts that several ranks hold.
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/cluster/sinkhorn.h"
#include "support/fixture.h"
#include "support/thread_reducer.h"

using namespace sdg;
using test::Fixture;

namespace {
Tensor assignments_of(const Tensor& scores, const nlohmann::json& run, Reducer& reducer = Reducer::local()) {
  return cluster::sinkhorn(scores, {.epsilon = run.at("eps"), .iterations = run.at("iters")}, reducer).assignments;
}
}  // namespace

TEST(SinkhornParity, AssignmentsAreThoseOfThePublicCode) {
  test::for_each_fixture("sinkhorn", [](Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("runs").items()) {
      const auto q = assignments_of(fixture.in(run.at("scores")), run);
      fixture.compare(name + ".q", q);
      if (fixture.has("out." + name + ".argmax")) fixture.compare(name + ".argmax", q.argmax(1));
    }
    fixture.expect_all_compared();
  });
}

TEST(SinkhornParity, RanksThatBalanceTogetherGetWhatThePublicCodesRanksGot) {
  test::for_each_fixture("sinkhorn_ranks", [](Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("runs").items()) {
      const auto scores = fixture.in(run.at("scores"));
      fixture.compare(name + ".full", assignments_of(scores, run));
      const auto rows = scores.chunk(run.at("world").get<int64_t>());
      std::vector<Tensor> parts(rows.size());
      test::on_ranks(run.at("world"), [&, &settings = run](Reducer& reducer) {
        const auto rank = static_cast<size_t>(reducer.rank());
        parts[rank] = assignments_of(rows[rank], settings, reducer);
      });
      for (size_t rank = 0; rank < parts.size(); ++rank) {
        for (const std::string code : {"swav", "sgfm"}) {
          fixture.compare(name + "." + code + ".rank" + std::to_string(rank), parts[rank]);
        }
      }
    }
    fixture.expect_all_compared();
  });
}
