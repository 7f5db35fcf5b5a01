#include "sdg/cluster/standardizer.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "support/thread_reducer.h"

using namespace sdg;
using cluster::Standardizer;

namespace {
Tensor columns(int64_t rows) {  // of any scale; the last one constant
  auto x = rng::normal({4}, rng::consecutive(0, rows), {70}) * at::logspace(-3, 3, 70) + 7;
  x.select(1, 69).fill_(0.1);
  return x;
}
}  // namespace

TEST(Standardizer, GivesEachColumnMeanZeroAndDeviationOne) {
  const auto y = Standardizer::fit(columns(50)).apply(columns(50)).to(at::kDouble);
  EXPECT_LT(y.mean(0).abs().max().item<double>(), 1e-2) << "columns of deviation 1e-3 about 7 are rounded";
  const auto deviation = y.slice(1, 0, 69).var(0, /*unbiased=*/false).sqrt();
  EXPECT_LT((deviation - 1).abs().max().item<double>(), 1e-3);
  EXPECT_EQ(y.select(1, 69).abs().max().item<double>(), 0) << "a constant column";
  EXPECT_THROW(Standardizer::fit(at::zeros({0, 3})), Error);
}

TEST(Standardizer, OverRanksIsThatOfAllRows) {
  const auto x = columns(20);
  const auto one = Standardizer::fit(x);
  test::on_divisions(20, [&](Reducer& reducer, const auto& division) {
    const auto got = Standardizer::fit(test::share(x, division, reducer), reducer);
    EXPECT_TRUE(at::allclose(got.mean, one.mean, 1e-6, 0));
    EXPECT_TRUE(at::allclose(got.deviation, one.deviation, 1e-6, 0));
    EXPECT_EQ(got.deviation[69].template item<double>(), 1);
  });
}

TEST(Standardizer, AColumnThatIsConstantOnEachRankAloneIsNotConstant) {
  test::on_ranks(2, [](Reducer& reducer) {
    const auto got = Standardizer::fit(at::full({3, 1}, static_cast<double>(reducer.rank())), reducer);
    EXPECT_FLOAT_EQ(got.mean.item<float>(), 0.5);
    EXPECT_FLOAT_EQ(got.deviation.item<float>(), 0.5);
  });
}
