// What a request asks for beside options: conditions, guides, pictures to begin with, ways back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "generate/drawing.h"
#include "sdg/core/error.h"
#include "sdg/generate/content.h"
#include "sdg/generate/generate.h"
#include "sdg/generate/guide_network.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::same_bytes;
using ::testing::HasSubstr;

namespace {

void shake(network::Network& network, uint64_t seed, double by) {
  const at::NoGradGuard no_grad;
  int64_t key = 0;
  for (auto& parameter : network.model->parameters())
    parameter.add_(rng::normal({seed, rng::Purpose::kTest, 0}, {key++}, parameter.sizes()).view(parameter.sizes()), by);
}

class Drawn : public ::testing::Test {
 protected:
  Drawn() : config_(test::tiny_config("unused")), network_(network::build_network(config_, 0, at::kCPU)) {
    shake(network_, 9, 0.1);
    network_.set_training(false);
    request_.sample.count = 20;
    request_.sample.steps = 4;
    request_.sample.guidance = 1.5;
    request_.sample.seed = 4;
  }
  Tensor draw(const generate::Request& request) {
    auto with_latents = request;
    with_latents.latents = true;
    return generate::generate(config_, network_, prior_, at::kCPU, with_latents).latents;
  }
  std::string problem(const std::function<void(generate::Request&)>& change) {
    auto request = request_;
    change(request);
    return test::message_of<UsageError>([&] { draw(request); });
  }
  Tensor picture() const { return rng::normal({2, rng::Purpose::kTest, 0}, {0}, {1, 8, 8})[0].clamp(-1, 1); }

  const recipe::RunConfig config_;
  network::Network network_;
  const Tensor prior_ = at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble);
  generate::Request request_;
};

double difference(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace

TEST_F(Drawn, EverySolverGivesTheSameImagesForEveryBatch) {
  using sample::Solver;
  for (const auto solver : {Solver::kDpmpp2m, Solver::kUnipc, Solver::kStochasticHeun, Solver::kDdim, Solver::kDdpm,
                            Solver::kEdm, Solver::kDopri5Each}) {
    auto request = request_;
    request.sample.solver = solver;
    request.sample.eta = 0.5;
    request.sample.rtol = request.sample.atol = 1e-2;
    const auto whole = draw(request);
    EXPECT_TRUE(std::isfinite(whole.sum().item<double>())) << config::name(solver);
    request.sample.batch = 7;
    request.first = 3;
    request.sample.count = 10;
    EXPECT_TRUE(same_bytes(draw(request), whole.slice(0, 3, 13).contiguous())) << config::name(solver);
  }
}

// Alone or among others: what dopri5 does not promise.
TEST_F(Drawn, Dopri5EachStepsAnImageAlone) {
  auto request = request_;
  request.sample.solver = sample::Solver::kDopri5Each;
  request.sample.rtol = request.sample.atol = 1e-6;
  request.sample.guidance = 1;
  request.sample.count = 2;
  const auto each = draw(request);
  request.sample.solver = sample::Solver::kRk4;
  request.sample.steps = 200;
  EXPECT_LT(difference(each, draw(request)), 1e-3);
}

TEST_F(Drawn, AMixtureLiesBetweenItsClusters) {
  auto request = request_;
  request.mixture = {{1, 1}};
  const auto alone = draw(request);
  request.mixture.clear();
  request.cluster = 1;
  EXPECT_LT(difference(alone, draw(request)), 1e-5);
  request.cluster = -1;
  request.mixture = {{1, 0.5}, {2, 0.5}};
  const auto mixed = draw(request);
  EXPECT_GT(difference(mixed, alone), 1e-3);
  request.mixture = {{2, 5}, {1, 5}};
  EXPECT_LT(difference(mixed, draw(request)), 1e-5) << "shares are relative";
  EXPECT_THAT(problem([](auto& r) { r.mixture = {{1, 0.5}, {4, 0.5}}; }), HasSubstr("cluster must be 0 to 3, got 4"));
}

TEST_F(Drawn, PriorsSayHowOftenClustersCome) {
  auto request = request_;
  request.sample.count = 2000;
  request.sample.steps = 1;
  request.sample.guidance = 1;
  const auto shares = [&] {
    const auto drawn = generate::generate(config_, network_, prior_, at::kCPU, request).clusters;
    return at::bincount(drawn, {}, 4).to(at::kDouble) / 2000;
  };
  request.sample.prior = sample::Prior::kUniform;
  EXPECT_LT(difference(shares(), at::full({4}, 0.25, at::kDouble)), 0.04);
  request.sample.prior = sample::Prior::kEmpirical;
  request.sample.prior_temperature = 0.5;
  EXPECT_LT(difference(shares(), prior_.square() / prior_.square().sum()), 0.04);
}

TEST_F(Drawn, GuidanceAwayFromAnotherClusterNeverMeetsItsOwn) {
  auto request = request_;
  request.sample.guide = sample::Guide::kOther;
  const auto other = draw(request);
  EXPECT_GT(difference(other, draw(request_)), 1e-4);
  // At strength 1 the other does not count.
  request.sample.guidance = 1;
  auto plain = request_;
  plain.sample.guidance = 1;
  EXPECT_TRUE(same_bytes(draw(request), draw(plain)));
  EXPECT_THAT(problem([](auto& r) {
                r.sample.guide = sample::Guide::kOther;
                r.mixture = {{1, 1}};
              }),
              HasSubstr("a mixture has no other cluster"));
}

TEST_F(Drawn, AGuideLeadsAwayFromItself) {
  auto guide = std::make_shared<checkpoint::Trained>();
  guide->info.config = config_;
  guide->network = network::build_network(config_, 0, at::kCPU);
  guide->prior = prior_;
  const auto state = network_.tensors("");
  guide->network.load(state, "", "test");
  guide->network.set_training(false);
  auto request = request_;
  request.sample.guide = sample::Guide::kNetwork;
  request.guide = guide;
  // The same network as its own guide changes nothing, whatever the strength.
  auto plain = request_;
  plain.sample.guidance = 1;
  EXPECT_LT(difference(draw(request), draw(plain)), 1e-5);
  shake(guide->network, 5, 0.05);
  EXPECT_GT(difference(draw(request), draw(plain)), 1e-3);
  EXPECT_THAT(problem([](auto& r) { r.sample.guide = sample::Guide::kNetwork; }), HasSubstr("--guide-checkpoint"));
}

TEST_F(Drawn, AGuideOfOtherClustersOrAnotherSizeIsRefused) {
  checkpoint::Trained trained, guide;
  trained.info.config = guide.info.config = config_;
  trained.network = network::build_network(config_, 0, at::kCPU);
  guide.network = network::build_network(config_, 0, at::kCPU);
  guide.network.load(trained.network.tensors(""), "", "test");
  trained.prior = guide.prior = prior_;
  guide.path = "guide.safetensors";
  EXPECT_NO_THROW(generate::check_guide(trained, guide));
  const auto refused = [&] { return test::message_of<UsageError>([&] { generate::check_guide(trained, guide); }); };
  {
    const at::NoGradGuard no_grad;
    guide.network.head->prototypes->weight.copy_(trained.network.head->prototypes->weight.roll(1, 0));
  }
  EXPECT_THAT(refused(), HasSubstr("only 0 of its 4 clusters are those of the same number"));
  guide.info.config.data.size = 16;
  EXPECT_THAT(refused(), HasSubstr("draws 1 x 16 x 16, the network it is to guide 1 x 8 x 8"));
}

TEST_F(Drawn, VariationsStayNearTheirPictureTheLessNoiseTheyGet) {
  auto request = request_;
  request.from = picture();
  double before = 0;
  for (const double strength : {0.05, 0.4, 1.0}) {
    request.strength = strength;
    const auto drawn = draw(request);
    const double distance = (drawn - request.from).square().mean().item<double>();
    EXPECT_GT(distance, before) << strength;
    before = distance;
  }
  EXPECT_LT(difference(draw(request), draw(request_)), 1e-5) << "strength 1 keeps nothing";
  EXPECT_THAT(problem([&](auto& r) {
                r.from = picture();
                r.strength = 0;
              }),
              HasSubstr("strength: expected a number above 0"));
  EXPECT_THAT(problem([&](auto& r) { r.from = at::zeros({1, 9, 9}); }), HasSubstr("must be [1, 8, 8], got [1, 9, 9]"));
}

TEST_F(Drawn, WhatAMaskKeepsIsKeptUnderEverySolverOfTheFlow) {
  auto request = request_;
  request.from = picture();
  request.drawn_anew = at::zeros({8, 8}, at::kBool);
  request.drawn_anew.slice(1, 0, 4).fill_(true);
  for (const auto solver :
       {sample::Solver::kEuler, sample::Solver::kHeun, sample::Solver::kDpmpp2m, sample::Solver::kAdamsBashforth}) {
    request.sample.solver = solver;
    const auto drawn = draw(request);
    EXPECT_LT(difference(drawn.slice(3, 4), request.from.slice(2, 4).expand({20, 1, 8, 4})), 2e-3);
    EXPECT_GT(difference(drawn.slice(3, 0, 4), request.from.slice(2, 0, 4).expand({20, 1, 8, 4})), 0.1);
  }
  EXPECT_THAT(problem([&](auto& r) {
                r.from = picture();
                r.drawn_anew = at::zeros({8, 8}, at::kBool);
                r.sample.solver = sample::Solver::kDdpm;
              }),
              HasSubstr("ddpm adds noise on the way"));
}

TEST_F(Drawn, TheWayBetweenTwoImagesBeginsAndEndsInThem) {
  const auto whole = draw(request_);
  auto request = request_;
  request.between = {3, 8};
  request.sample.count = 5;
  const auto way = draw(request);
  EXPECT_LT(difference(way[0], whole[3]), 1e-4);
  EXPECT_LT(difference(way[4], whole[8]), 1e-4);
  EXPECT_GT(difference(way[2], whole[3]), 1e-2);
}

TEST_F(Drawn, ATraceEndsNearTheImage) {
  const auto strip = generate::trace(config_, network_, prior_, at::kCPU, request_);
  EXPECT_EQ(strip.size(0), 4);
  // Euler's last step goes to the last prediction.
  EXPECT_LT(difference(strip[3], draw(request_)[0]), 1e-3);
}

TEST_F(Drawn, InvertedPicturesComeBack) {
  auto request = request_;
  request.sample.solver = sample::Solver::kRk4;
  request.sample.steps = 100;
  request.sample.guidance = 1;
  const auto x = picture().unsqueeze(0);
  const auto there = generate::invert(config_, network_, prior_, at::kCPU, request, x);
  EXPECT_LT(difference(there.images, x), 1e-3);
  EXPECT_GT(difference(there.noise, x), 0.1);
  request.sample.solver = sample::Solver::kUnipc;
  EXPECT_THAT(test::message_of<UsageError>([&] { generate::invert(config_, network_, prior_, at::kCPU, request, x); }),
              HasSubstr("unipc goes only from noise to image"));
}

TEST_F(Drawn, DensitiesDoNotDependOnTheirCompany) {
  auto request = request_;
  request.sample.solver = sample::Solver::kHeun;
  request.sample.steps = 4;
  request.sample.guidance = 1;
  const auto x = rng::normal({2, rng::Purpose::kTest, 1}, rng::consecutive(0, 20), {1, 8, 8});
  const auto all = generate::log_densities(config_, network_, prior_, at::kCPU, request, x, 2);
  request.first = 16;
  const auto some = generate::log_densities(config_, network_, prior_, at::kCPU, request, x.slice(0, 16), 2);
  EXPECT_LT(difference(all.slice(0, 16), some), 1e-2);
  const auto exact = generate::log_densities(config_, network_, prior_, at::kCPU, request, x.slice(0, 16), 0);
  EXPECT_LT((exact - some).abs().mean().item<double>(), 0.2 * exact.abs().mean().item<double>());
}

// A uniform density over the pixels' range is 8 bits.
TEST(BitsPerDimension, OfAUniformDensityAreEight) {
  const auto nats = at::full({1}, -3 * std::log(256 / 127.5), at::kDouble);
  EXPECT_NEAR(generate::bits_per_dimension(nats, 3).item<double>(), 8, 1e-12);
  const auto pixels = generate::dequantised(at::full({2, 1, 8, 8}, 255, at::kByte), 1, 0);
  EXPECT_LE(pixels.max().item<double>(), 1 + 0.5 / 127.5);
  EXPECT_GE(pixels.min().item<double>(), 1 - 0.5 / 127.5 - 1e-6);
}

TEST_F(Drawn, TheDigestKnowsWhatDecidesTheImages) {
  std::set<std::string> digests;
  const auto add = [&](const std::function<void(generate::Request&)>& change) {
    auto request = request_;
    change(request);
    io::Digest digest;
    generate::add_content(digest, request, "");
    EXPECT_TRUE(digests.insert(digest.hex()).second);
  };
  add([](auto&) {});
  add([](auto& r) { r.mixture = {{1, 0.5}, {2, 0.5}}; });
  add([](auto& r) { r.mixture = {{1, 0.4}, {2, 0.6}}; });
  add([&](auto& r) { r.from = picture(); });
  add([&](auto& r) {
    r.from = picture();
    r.strength = 0.5;
  });
  add([](auto& r) { r.between = {1, 2}; });
  add([](auto& r) { r.sample.guidance_every = 2; });
  add([](auto& r) { r.sample.clip = sample::Clip::kClamp; });
}

TEST_F(Drawn, AnImageThatGrowsWithoutBoundIsNamedWithItsStep) {
  {
    const at::NoGradGuard no_grad;
    for (auto& parameter : network_.model->parameters()) parameter.fill_(NAN);
  }
  EXPECT_THAT(test::message_of<generate::NotFinite>([&] { draw(request_); }),
              ::testing::AllOf(HasSubstr("image 0 is not finite (seed 4"), HasSubstr(" from step 1 on: ")));
}

TEST_F(Drawn, AFittedGridIsTheSameForEveryPartOfTheImages) {
  auto request = request_;
  request.sample.grid = sample::Grid::kFitted;
  const auto whole = draw(request);
  request.first = 5;
  request.sample.count = 3;
  EXPECT_TRUE(same_bytes(draw(request), whole.slice(0, 5, 8).contiguous()));
  const auto times = generate::walk_times(config_, network_, prior_, at::kCPU, request);
  EXPECT_EQ(times.size(), 5U);
}

// What a learned prior draws is told as rows that are stored would be, image by image, to the bit.
TEST(LearnedPrior, ImagesAreToldTheVectorsThatItDraws) {
  const auto config = test::tiny_config("unused", "file");
  const auto dim = config.model.dim;
  network::VectorField field(network::VectorFieldSize{.dim = dim, .width = 8, .blocks = 1});
  network::initialize(*field, 3);
  {
    const at::NoGradGuard no_grad;
    field->named_parameters()["output.weight"].add_(
        rng::normal({1, rng::Purpose::kTest, 0}, rng::consecutive(0, dim), {8}));
  }
  auto vectors = std::make_shared<network::VectorPrior>(network::VectorPrior{
      .field = field,
      .scale = {.mean = at::ones({dim}), .spread = 0.7, .length = std::sqrt(static_cast<double>(dim))}});
  generate::Request request;
  request.sample.count = 20;
  request.sample.steps = 3;
  request.sample.guidance = 1.5;
  request.sample.seed = 4;
  request.latents = true;
  auto stored = std::make_shared<network::StoredConditions>();
  stored->values = vectors->draw(4, rng::consecutive(0, 32), at::kCPU);
  auto network = network::build_network(config, 0, at::kCPU, stored);
  shake(network, 9, 0.1);
  network.set_training(false);
  const auto prior = at::full({32}, 1.0 / 32, at::kDouble);
  for (const auto precision : {Precision::kFloat32, Precision::kBf16}) {
    request.sample.precision = precision;
    request.sample.prior = sample::Prior::kEmpirical;
    request.rows = at::arange(32);
    network.vectors = nullptr;
    const auto by_rows = generate::generate(config, network, prior, at::kCPU, request).latents;
    request.rows = Tensor();
    request.sample.prior = sample::Prior::kLearned;
    network.vectors = vectors;
    const auto learned = generate::generate(config, network, prior, at::kCPU, request);
    EXPECT_LT((learned.latents - by_rows).abs().max().item<double>(), 1e-4) << config::name(precision);
    EXPECT_TRUE(learned.clusters.eq(-1).all().item<bool>());
  }
}

TEST(GroupsOfImages, AreWholeOnACpuAndNoMoreThanIsWantedElsewhere) {
  const auto groups = [](int64_t begin, int64_t end, int64_t size, bool whole) {
    std::vector<std::pair<int64_t, int64_t>> out;
    for (const auto& group : generate::groups_of(begin, end, size, whole)) out.emplace_back(group.begin, group.end);
    return out;
  };
  using Groups = std::vector<std::pair<int64_t, int64_t>>;
  EXPECT_EQ(groups(0, 8, 16, true), (Groups{{0, 16}}));
  EXPECT_EQ(groups(15, 33, 16, true), (Groups{{0, 16}, {16, 32}, {32, 48}}));
  EXPECT_EQ(groups(0, 8, 256, false), (Groups{{0, 8}}));
  EXPECT_EQ(groups(300, 600, 256, false), (Groups{{300, 556}, {556, 600}}));
  EXPECT_EQ(groups(16, 16, 16, true), Groups());
  EXPECT_EQ(groups(16, 16, 16, false), Groups());
}
