#include "sdg/generate/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "sdg/core/error.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::same_bytes;
using ::testing::HasSubstr;

namespace {

class Generating : public ::testing::Test {
 protected:
  Generating() : config_(test::tiny_config("unused")), network_(network::build_network(config_, 0, at::kCPU)) {
    // Networks start with a velocity of zero, which would make every claim below true of any program.
    const at::NoGradGuard no_grad;
    int64_t key = 0;
    for (auto& parameter : network_.model->parameters()) {
      parameter.add_(rng::normal({9, rng::Purpose::kTest, 0}, {key++}, parameter.sizes()).view(parameter.sizes()), 0.1);
    }
    network_.set_training(false);
    request_.sample.count = 64;
    request_.sample.steps = 2;
    request_.sample.guidance = 1.5;
    request_.sample.seed = 4;
  }
  generate::Generated draw(const generate::Request& request) {
    return generate::generate(config_, network_, prior_, at::kCPU, request);
  }

  const recipe::RunConfig config_;
  network::Network network_;
  const Tensor prior_ = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble);
  generate::Request request_;
};

}  // namespace

TEST_F(Generating, BatchDoesNotChangeAnImage) {
  const auto whole = draw(request_);
  ASSERT_EQ(whole.images.size(0), 64);
  for (const int64_t batch : {1, 7, 16, 33, 1000}) {
    auto request = request_;
    request.sample.batch = batch;
    const auto other = draw(request);
    EXPECT_TRUE(same_bytes(whole.images, other.images)) << batch;
    EXPECT_TRUE(same_bytes(whole.clusters, other.clusters)) << batch;
  }
}

TEST_F(Generating, NeitherCountNorFirstChangesAnImage) {
  const auto whole = draw(request_);
  for (const auto& [first, count] :
       std::vector<std::pair<int64_t, int64_t>>{{0, 20}, {0, 1}, {5, 20}, {16, 16}, {63, 1}}) {
    auto request = request_;
    request.first = first;
    request.sample.count = count;
    const auto part = draw(request);
    EXPECT_TRUE(same_bytes(part.images, whole.images.slice(0, first, first + count))) << first << " " << count;
    EXPECT_TRUE(same_bytes(part.clusters, whole.clusters.slice(0, first, first + count))) << first << " " << count;
  }
}

TEST_F(Generating, PiecesComeInOrderAndProgressEndsAtTheCount) {
  auto request = request_;
  request.first = 3;
  request.sample.count = 50;
  request.sample.batch = 16;
  std::vector<Tensor> pieces;
  int64_t done = 0, total = 0;
  generate::generate(
      config_, network_, prior_, at::kCPU, request,
      [&](const generate::Generated& piece) { pieces.push_back(piece.images); },
      [&](int64_t now, int64_t all) {
        EXPECT_GT(now, done);
        done = now;
        total = all;
      });
  EXPECT_GT(pieces.size(), 1U);
  EXPECT_EQ(done, 50);
  EXPECT_EQ(total, 50);
  EXPECT_TRUE(same_bytes(at::cat(pieces), draw(request).images));
}

TEST_F(Generating, SeedClusterAndGuidanceDoChangeImages) {
  const auto whole = draw(request_);
  auto request = request_;
  request.sample.seed = 5;
  EXPECT_FALSE(same_bytes(whole.images, draw(request).images));
  request = request_;
  request.sample.guidance = 3;
  EXPECT_FALSE(same_bytes(whole.images, draw(request).images));
  request = request_;
  request.cluster = 2;
  const auto one_cluster = draw(request);
  EXPECT_TRUE(one_cluster.clusters.eq(2).all().item<bool>());
  EXPECT_FALSE(same_bytes(whole.images, one_cluster.images));
}

TEST_F(Generating, ZeroGuidanceIsUnconditional) {
  auto request = request_;
  request.sample.guidance = 0;
  const auto zero = draw(request);
  request.sample.guidance = 1;
  const auto conditional = draw(request);
  request.unconditional = true;
  const auto without = draw(request);
  EXPECT_TRUE(same_bytes(zero.images, without.images));
  EXPECT_TRUE(zero.clusters.eq(-1).all().item<bool>());
  EXPECT_FALSE(same_bytes(conditional.images, without.images));
}

TEST_F(Generating, ClustersFollowThePrior) {
  auto request = request_;
  request.sample.count = 2000;
  request.sample.steps = 1;
  const auto share = draw(request).clusters.bincount({}, 4).to(at::kDouble) / 2000;
  EXPECT_LT((share - prior_).abs().max().item<double>(), 0.04);  // 3.6 standard deviations of the largest share
}

TEST_F(Generating, RefusesAClusterThatIsNotThere) {
  auto request = request_;
  request.cluster = 4;
  EXPECT_THAT(test::message_of<UsageError>([&] { draw(request); }), HasSubstr("cluster must be 0 to 3, got 4"));
  EXPECT_THAT(test::message_of<UsageError>([&] { generate::generate(config_, network_, {}, at::kCPU, request); }),
              HasSubstr("need a conditional run"));
}

TEST_F(Generating, RefusesToGuideChannelsThatAreNotThere) {
  generate::Request request;
  request.sample.guidance = 2;
  request.sample.guidance_channels = 3;
  EXPECT_THAT(test::message_of<UsageError>([&] { draw(request); }), HasSubstr("expected at most the 1 that"));
}

TEST_F(Generating, GuidanceActsOnlyInItsInterval) {
  auto plain = request_, outside = request_, inside = request_;
  plain.sample.guidance = 1;
  outside.sample.guidance_begin = outside.sample.guidance_end =
      0.9;  // of the two Euler steps, at 0 and 0.5, none lies there
  inside.sample.guidance_begin = 0.4;
  EXPECT_TRUE(same_bytes(draw(plain).images, draw(outside).images));
  EXPECT_FALSE(same_bytes(draw(inside).images, draw(outside).images));
  EXPECT_FALSE(same_bytes(draw(inside).images, draw(request_).images));
  outside.sample.guidance_end = 0.1;
  EXPECT_THROW(draw(outside), UsageError);
}

namespace {

using Field = std::function<Tensor(const Tensor&, double)>;

// One step of the classical methods, written out.
Tensor slow_step(const std::string& solver, const Field& f, const Tensor& x, double t, double h) {
  const auto k1 = f(x, t);
  if (solver == "euler") return x + h * k1;
  if (solver == "midpoint") return x + h * f(x + h / 2 * k1, t + h / 2);
  if (solver == "heun") return x + h / 2 * (k1 + f(x + h * k1, t + h));
  if (solver == "heun3") {
    const auto k2 = f(x + h / 3 * k1, t + h / 3), k3 = f(x + h * 2 / 3 * k2, t + h * 2 / 3);
    return x + h / 4 * (k1 + 3 * k3);
  }
  const auto k2 = f(x + h / 3 * k1, t + h / 3);
  const auto k3 = f(x + h * (k2 - k1 / 3), t + h * 2 / 3);
  const auto k4 = f(x + h * (k1 - k2 + k3), t + h);
  return x + h / 8 * (k1 + 3 * k2 + 3 * k3 + k4);
}

}  // namespace

// Against a twin that asks the network for each half alone, one image at a time, and integrates in float64.
TEST_F(Generating, GuidanceInAnIntervalIsWhatASlowTwinComputesWithEverySolver) {
  constexpr int64_t kSteps = 10, kImages = 2;
  const auto drawn_x = [&](generate::Request request) {
    std::vector<Tensor> x;
    request.to_images = [&](const Tensor& piece) {
      x.push_back(piece.clone());
      return at::zeros({piece.size(0), 1, 8, 8}, at::kByte);
    };
    const auto clusters = draw(request).clusters;
    return std::pair{at::cat(x).to(at::kDouble), clusters};
  };
  for (const std::string solver : {"euler", "midpoint", "heun", "heun3", "rk4"}) {
    for (const double w : {0.0, 0.4, 1.0, 2.5}) {
      for (const auto& [begin, end] : std::vector<std::pair<double, double>>{{0, 1}, {0.3, 1}, {0, 0.3}, {0.3, 0.7}}) {
        auto request = request_;
        request.sample.count = kImages;
        request.sample.steps = kSteps;
        request.sample.solver = config::from_name<sample::Solver>(solver).value();
        request.sample.guidance = w;
        request.sample.guidance_begin = begin;
        request.sample.guidance_end = end;
        request.cluster = 2;
        const auto [x, clusters] = drawn_x(request);
        const bool whole = begin == 0 && end == 1;
        EXPECT_EQ(clusters[0].item<int64_t>(), w == 0 && whole ? -1 : 2);
        for (int64_t i = 0; i < kImages; ++i) {
          const c10::InferenceMode inference;
          const auto given = network::condition_for(config_, network_, at::full({1}, 2, at::kLong));
          // Times in tenths are told apart from the ends by whole numbers, not by rounding.
          const auto strength = [&](double t) {
            const auto thirtieths = std::llround(t * 60);
            return thirtieths >= std::llround(begin * 60) && thirtieths <= std::llround(end * 60) ? w : 1.0;
          };
          const Field field = [&](const Tensor& x_t, double t) {
            const auto at_t = at::full({1}, t, at::kFloat);
            const auto half = [&](const model::Condition& condition) {
              return network_.velocity(x_t.to(at::kFloat), at_t, condition).to(at::kDouble);
            };
            const auto u = half(model::Condition::null()), c = half(given);
            return u + strength(t) * (c - u);
          };
          Tensor slow = rng::normal({4, rng::Purpose::kSampleNoise, 0}, {i}, {1, 8, 8}).to(at::kDouble);
          for (int64_t step = 0; step < kSteps; ++step)
            slow = slow_step(solver, field, slow, static_cast<double>(step) / kSteps, 1.0 / kSteps);
          EXPECT_LT((x[i] - slow[0]).abs().max().item<double>(), 2e-4 * std::max(1.0, slow.abs().max().item<double>()))
              << solver << " w " << w << " from " << begin << " to " << end << " image " << i;
        }
      }
    }
  }
}

// It looks beyond the last time, where guidance up to 1 must not end.
TEST_F(Generating, AnAdaptiveSolverIsGuidedToTheEnd) {
  const auto x_of = [&](sample::Solver solver, int64_t steps) {
    auto each = request_;
    each.sample.count = 16;
    each.sample.guidance = 3;
    each.sample.solver = solver;
    each.sample.steps = steps;
    Tensor x;
    each.to_images = [&](const Tensor& piece) {
      x = piece.clone();
      return at::zeros({piece.size(0), 1, 8, 8}, at::kByte);
    };
    draw(each);
    return x;
  };
  const auto fine = x_of(sample::Solver::kRk4, 200), adaptive = x_of(sample::Solver::kDopri5, 1);
  EXPECT_LT((fine - adaptive).abs().max().item<double>(), 2e-3 * fine.abs().max().item<double>());
}

TEST_F(Generating, AnImageThatIsNotFiniteIsNamed) {
  {
    const at::NoGradGuard no_grad;
    for (auto& parameter : network_.model->parameters()) parameter.fill_(1e30);
  }
  auto request = request_;
  request.first = 5;
  EXPECT_THAT(test::message_of<generate::NotFinite>([&] { draw(request); }),
              HasSubstr("image 5 is not finite (seed 4, guidance 1.5, 2 euler steps)"));
}

TEST_F(Generating, AStochasticSampleIsAFunctionOfSeedAndImageAlone) {
  request_.sample.solver = sample::Solver::kEulerMaruyama;
  request_.sample.steps = 3;
  const auto whole = draw(request_);
  for (const int64_t batch : {1, 7, 16, 33, 1000}) {
    auto request = request_;
    request.sample.batch = batch;
    EXPECT_TRUE(same_bytes(whole.images, draw(request).images)) << batch;
  }
  auto part = request_;
  part.first = 5;
  part.sample.count = 20;
  EXPECT_TRUE(same_bytes(whole.images.slice(0, 5, 25), draw(part).images));
  auto other = request_;
  other.sample.seed = 5;
  EXPECT_FALSE(same_bytes(whole.images, draw(other).images));
}

// Against a twin that draws one image alone, in float64, with the noise of (seed, image, step).
TEST_F(Generating, TheNoiseOfAStochasticSampleIsKeyedBySeedImageAndStep) {
  constexpr int64_t kSteps = 4, kImage = 21;
  auto request = request_;
  request.sample.solver = sample::Solver::kEulerMaruyama;
  request.sample.steps = kSteps;
  request.cluster = 2;
  request.first = kImage;
  request.sample.count = 1;
  Tensor x;
  request.to_images = [&](const Tensor& piece) {
    x = piece.clone();
    return at::zeros({1, 1, 8, 8}, at::kByte);
  };
  draw(request);

  const c10::InferenceMode inference;
  const auto given = network::condition_for(config_, network_, at::full({1}, 2, at::kLong));
  const double s = config_.flow.sigma_min, last = request.sample.last_step_size;
  Tensor slow = rng::normal({4, rng::Purpose::kSampleNoise, 0}, {kImage}, {1, 8, 8}).to(at::kDouble);
  for (int64_t step = 0; step < kSteps; ++step) {
    const double t = static_cast<double>(step) / (kSteps - 1) * (1 - last), share = 1 - (1 - s) * t;
    const double dt = step + 1 == kSteps ? last : (1 - last) / (kSteps - 1), w = share;
    const auto at_t = at::full({1}, t, at::kFloat);
    const auto half = [&](const model::Condition& condition) {
      return network_.velocity(slow.to(at::kFloat), at_t, condition).to(at::kDouble);
    };
    const auto u = half(model::Condition::null()), c = half(given);
    const Tensor v = u + 1.5 * (c - u), score = -(slow - t * v) / share;
    slow = slow + dt * (v + w * score);
    if (step + 1 == kSteps) break;
    const auto n = rng::normal({4, rng::Purpose::kSampleStep, static_cast<uint64_t>(step)}, {kImage}, {1, 8, 8});
    slow = slow + std::sqrt(2 * w * dt) * n.to(at::kDouble);
  }
  EXPECT_LT((x[0] - slow[0]).abs().max().item<double>(), 2e-4 * std::max(1.0, slow.abs().max().item<double>()));
}
