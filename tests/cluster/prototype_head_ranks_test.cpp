// The head's statistics over the rows of several ranks, and the gradient through them, against torch's own BatchNorm
// on the whole batch.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include "sdg/cluster/prototype_head.h"
#include "sdg/cluster/sinkhorn.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "support/temporary_folder.h"
#include "support/thread_reducer.h"

using namespace sdg;
using test::on_divisions;
using test::share;

namespace {
constexpr int64_t kRows = 14;

struct Step {
  Tensor scores;                         // this rank's [n, K]
  Tensor of_features;                    // gradient of its own rows [n, F]
  std::map<std::string, Tensor> ranked;  // gradients of the parameters, of all ranks; buffers afterwards
  double loss = 0;                       // of all ranks
};

Step step_of(const Tensor& features, const Tensor& targets, bool standardize, Reducer& reducer) {
  cluster::PrototypeHead head(
      cluster::PrototypeHeadOptions{.feature_dim = 12, .dim = 6, .clusters = 5, .standardize = standardize});
  cluster::initialize(*head, 3);
  const auto leaf = features.clone().requires_grad_();
  Step step;
  Tensor loss;
  for (int pass = 0; pass < 2; ++pass) {  // twice, for the running statistics
    const auto out = head->forward(leaf, reducer);
    loss = part_of_mean(cluster::assignment_loss(out.scores, targets, 0.1), reducer);
    step.scores = out.scores.detach();
  }
  std::vector<Tensor> wanted = head->parameters();
  wanted.push_back(leaf);
  const auto gradients = torch::autograd::grad({loss}, wanted);
  const auto named = head->named_parameters();
  for (size_t i = 0; i < named.size(); ++i) {
    step.ranked[named[i].key()] = reducer.all_reduce(gradients[i].detach().clone());
  }
  for (const auto& buffer : head->named_buffers()) step.ranked[buffer.key()] = buffer.value();
  step.of_features = gradients.back();
  step.loss = reducer.sum(loss.item<double>());
  return step;
}

// What is far below 1 is rounding here: standardised rows have the mean 0.
double relative(const Tensor& a, const Tensor& b) {
  return ((a - b).abs().max() / b.abs().max().clamp_min(0.01)).item<double>();
}
}  // namespace

TEST(PrototypeHeadRanks, ScoresGradientsAndRunningStatisticsAreThoseOfTheWholeBatch) {
  const auto features = rng::normal({4}, rng::consecutive(0, kRows), {12}) * at::logspace(-1, 2, 12) + 3;
  const auto targets = rng::uniform({5}, rng::consecutive(0, kRows), {5}).softmax(1);
  for (const bool standardize : {false, true}) {
    const auto one = step_of(features, targets, standardize, Reducer::local());
    on_divisions(kRows, [&](Reducer& reducer, const auto& division) {
      const auto own =
          step_of(share(features, division, reducer), share(targets, division, reducer), standardize, reducer);
      EXPECT_LT((reducer.all_gather(own.scores) - one.scores).abs().max().template item<double>(), 2e-6);
      EXPECT_LT(relative(reducer.all_gather(own.of_features), one.of_features), 1e-5) << reducer.ranks() << " ranks";
      EXPECT_NEAR(own.loss, one.loss, 1e-6);
      EXPECT_EQ(own.ranked.size(), one.ranked.size());
      for (const auto& [name, expected] : one.ranked) {
        const auto& got = own.ranked.at(name);
        if (name == "projection_head.0.bias") {  // BatchNorm takes it away: both are rounding
          EXPECT_LT((got - expected).abs().max().template item<double>(), 1e-5);
        } else if (expected.scalar_type() == at::kLong) {
          EXPECT_TRUE(at::equal(got, expected)) << name;
        } else {
          EXPECT_LT(relative(got, expected), 1e-5) << name << ", " << reducer.ranks() << " ranks";
        }
      }
    });
  }
}

// A rank that took its own statistics would pass neither: the shares differ in level.
TEST(PrototypeHeadRanks, RunningStatisticsAreTheSameBitsOnAllRanks) {
  on_divisions(kRows, [](Reducer& reducer, const auto& division) {
    cluster::PrototypeHead head(
        cluster::PrototypeHeadOptions{.feature_dim = 12, .dim = 6, .clusters = 5, .standardize = true});
    cluster::initialize(*head, 3);
    const auto all = rng::normal({4}, rng::consecutive(0, kRows), {12}) + at::arange(kRows).unsqueeze(1);
    head->forward(share(all, division, reducer), reducer);
    for (const auto& buffer : head->named_buffers()) {
      const auto of_first = reducer.broadcast(buffer.value().clone());
      EXPECT_TRUE(at::equal(of_first, buffer.value())) << buffer.key();
    }
  });
}

TEST(PrototypeHeadRanks, TwoRowsOfAllRanksAreEnough) {
  test::on_ranks(2, [](Reducer& reducer) {
    cluster::PrototypeHead head(cluster::PrototypeHeadOptions{.feature_dim = 12, .dim = 6, .clusters = 5});
    cluster::initialize(*head, 3);
    const auto row = rng::normal({4}, {reducer.rank()}, {12});
    EXPECT_TRUE(head->forward(row, reducer).scores.isfinite().all().item<bool>());
    EXPECT_EQ(test::message_of<Error>([&] { head->forward(row.slice(0, reducer.rank()), reducer); }),
              "prototype head: BatchNorm needs at least 2 rows in train mode, got 1: use a larger batch");
    head->eval();
    EXPECT_EQ(head->forward(row, reducer).scores.size(0), 1);
  });
}
