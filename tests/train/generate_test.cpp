#include "sdg/train/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "train/tiny_run.h"

using namespace sdg;
using test::same_bytes;
using ::testing::HasSubstr;

namespace {

class Generating : public ::testing::Test {
 protected:
  Generating() : config_(test::tiny_config("unused")), network_(train::build_network(config_, 0, at::kCPU)) {
    // Networks start with a velocity of zero, which would make every claim below true of any program.
    const at::NoGradGuard no_grad;
    int64_t key = 0;
    for (auto& parameter : network_.model->parameters()) {
      parameter.add_(rng::normal({9, rng::Purpose::kTest, 0}, {key++}, parameter.sizes()).view(parameter.sizes()), 0.1);
    }
    network_.set_training(false);
    options_.count = 64;
    options_.steps = 2;
    options_.guidance = 1.5;
    options_.seed = 4;
  }
  train::Generated draw(const train::GenerateOptions& options) {
    return train::generate(config_, network_, prior_, at::kCPU, options);
  }

  const train::RunConfig config_;
  train::Network network_;
  const Tensor prior_ = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble);
  train::GenerateOptions options_;
};

}  // namespace

TEST_F(Generating, BatchDoesNotChangeAnImage) {
  const auto whole = draw(options_);
  ASSERT_EQ(whole.images.size(0), 64);
  for (const int64_t batch : {1, 7, 16, 33, 1000}) {
    auto options = options_;
    options.batch = batch;
    const auto other = draw(options);
    EXPECT_TRUE(same_bytes(whole.images, other.images)) << batch;
    EXPECT_TRUE(same_bytes(whole.clusters, other.clusters)) << batch;
  }
}

TEST_F(Generating, NeitherCountNorFirstChangesAnImage) {
  const auto whole = draw(options_);
  for (const auto& [first, count] :
       std::vector<std::pair<int64_t, int64_t>>{{0, 20}, {0, 1}, {5, 20}, {16, 16}, {63, 1}}) {
    auto options = options_;
    options.first = first;
    options.count = count;
    const auto part = draw(options);
    EXPECT_TRUE(same_bytes(part.images, whole.images.slice(0, first, first + count))) << first << " " << count;
    EXPECT_TRUE(same_bytes(part.clusters, whole.clusters.slice(0, first, first + count))) << first << " " << count;
  }
}

TEST_F(Generating, PiecesComeInOrderAndProgressEndsAtTheCount) {
  auto options = options_;
  options.first = 3;
  options.count = 50;
  options.batch = 16;
  std::vector<Tensor> pieces;
  int64_t done = 0, total = 0;
  train::generate(
      config_, network_, prior_, at::kCPU, options,
      [&](const train::Generated& piece) { pieces.push_back(piece.images); },
      [&](int64_t now, int64_t all) {
        EXPECT_GT(now, done);
        done = now;
        total = all;
      });
  EXPECT_GT(pieces.size(), 1U);
  EXPECT_EQ(done, 50);
  EXPECT_EQ(total, 50);
  EXPECT_TRUE(same_bytes(at::cat(pieces), draw(options).images));
}

TEST_F(Generating, SeedClusterAndGuidanceDoChangeImages) {
  const auto whole = draw(options_);
  auto options = options_;
  options.seed = 5;
  EXPECT_FALSE(same_bytes(whole.images, draw(options).images));
  options = options_;
  options.guidance = 3;
  EXPECT_FALSE(same_bytes(whole.images, draw(options).images));
  options = options_;
  options.cluster = 2;
  const auto one_cluster = draw(options);
  EXPECT_TRUE(one_cluster.clusters.eq(2).all().item<bool>());
  EXPECT_FALSE(same_bytes(whole.images, one_cluster.images));
}

TEST_F(Generating, ZeroGuidanceIsUnconditional) {
  auto options = options_;
  options.guidance = 0;
  const auto zero = draw(options);
  options.guidance = 1;
  const auto conditional = draw(options);
  options.unconditional = true;
  const auto without = draw(options);
  EXPECT_TRUE(same_bytes(zero.images, without.images));
  EXPECT_TRUE(zero.clusters.eq(-1).all().item<bool>());
  EXPECT_FALSE(same_bytes(conditional.images, without.images));
}

TEST_F(Generating, ClustersFollowThePrior) {
  auto options = options_;
  options.count = 2000;
  options.steps = 1;
  const auto share = draw(options).clusters.bincount({}, 4).to(at::kDouble) / 2000;
  EXPECT_LT((share - prior_).abs().max().item<double>(), 0.04);  // 3.6 standard deviations of the largest share
}

TEST_F(Generating, RefusesAClusterThatIsNotThere) {
  auto options = options_;
  options.cluster = 4;
  EXPECT_THAT(test::message_of<UsageError>([&] { draw(options); }), HasSubstr("cluster must be 0 to 3, got 4"));
  EXPECT_THAT(test::message_of<UsageError>([&] { train::generate(config_, network_, {}, at::kCPU, options); }),
              HasSubstr("need a conditional run"));
}

TEST_F(Generating, GuidanceActsOnlyInItsInterval) {
  auto plain = options_, outside = options_, inside = options_;
  plain.guidance = 1;
  outside.guidance_begin = outside.guidance_end = 0.9;  // of the two Euler steps, at 0 and 0.5, none lies there
  inside.guidance_begin = 0.4;
  EXPECT_TRUE(same_bytes(draw(plain).images, draw(outside).images));
  EXPECT_FALSE(same_bytes(draw(inside).images, draw(outside).images));
  EXPECT_FALSE(same_bytes(draw(inside).images, draw(options_).images));
  outside.guidance_end = 0.1;
  EXPECT_THROW(draw(outside), UsageError);
}
