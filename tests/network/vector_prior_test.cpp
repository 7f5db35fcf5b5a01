#include "sdg/network/vector_prior.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"

using namespace sdg;
using network::VectorField;
using network::VectorFieldSize;
using network::VectorPrior;
using ::testing::HasSubstr;

namespace {

using Row = std::vector<double>;

// A field none of whose weights is zero.
VectorField field_of(const VectorFieldSize& size) {
  VectorField field(size);
  const at::NoGradGuard no_grad;
  for (auto& parameter : field->named_parameters())
    parameter.value().copy_(rng::normal({rng::hash(parameter.key()), rng::Purpose::kTest, 0},
                                        rng::consecutive(0, parameter.value().size(0)),
                                        parameter.value().sizes().slice(1)) *
                            0.4);
  return field;
}

// The same by scalars, from the names of the weights.
struct ScalarField {
  std::map<std::string, Tensor> weights;

  Row linear(const std::string& name, const Row& x) const {
    const auto w = weights.at(name + ".weight"), b = weights.at(name + ".bias");
    Row out;
    for (int64_t o = 0; o < w.size(0); ++o) {
      double sum = b[o].item<double>();
      for (int64_t i = 0; i < w.size(1); ++i) sum += w[o][i].item<double>() * x[static_cast<size_t>(i)];
      out.push_back(sum);
    }
    return out;
  }
  Row norm(const std::string& name, const Row& x) const {
    double mean = 0, square = 0;
    for (const double v : x) mean += v / static_cast<double>(x.size());
    for (const double v : x) square += (v - mean) * (v - mean) / static_cast<double>(x.size());
    Row out;
    for (size_t i = 0; i < x.size(); ++i)
      out.push_back((x[i] - mean) / std::sqrt(square + 1e-5) *
                        weights.at(name + ".weight")[static_cast<int64_t>(i)].item<double>() +
                    weights.at(name + ".bias")[static_cast<int64_t>(i)].item<double>());
    return out;
  }
  static Row silu(Row x) {
    for (auto& v : x) v = v / (1 + std::exp(-v));
    return x;
  }
  static Row sum(Row a, const Row& b) {
    for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
  }
  Row velocity(const Row& x_t, double t, int64_t blocks) const {
    Row sinusoids;
    for (int i = 0; i < 32; ++i) sinusoids.push_back(std::cos(1000 * t * std::pow(10000.0, -i / 32.0)));
    for (int i = 0; i < 32; ++i) sinusoids.push_back(std::sin(1000 * t * std::pow(10000.0, -i / 32.0)));
    const auto time = silu(linear("time.2", silu(linear("time.0", sinusoids))));
    auto h = linear("input", x_t);
    for (int64_t i = 0; i < blocks; ++i) {
      const auto block = cat("block", i, ".");
      const auto inside = sum(linear(block + "in", norm(block + "norm", h)), linear(block + "time", time));
      h = sum(h, linear(block + "out", silu(inside)));
    }
    return linear("output", norm("norm", h));
  }
};

std::map<std::string, Tensor> weights_of(const VectorField& field) {
  std::map<std::string, Tensor> out;
  for (const auto& parameter : field->named_parameters()) out[parameter.key()] = parameter.value().detach();
  return out;
}

VectorPrior prior_of(const VectorFieldSize& size) {
  return {.field = field_of(size), .scale = {.mean = at::arange(size.dim).to(at::kFloat), .spread = 0.5, .length = 0}};
}

TEST(VectorField, IsItsScalarTwin) {
  const VectorFieldSize size{.dim = 3, .width = 5, .blocks = 2};
  const auto field = field_of(size);
  const ScalarField twin{weights_of(field)};
  const auto x = rng::normal({1, rng::Purpose::kTest, 0}, rng::consecutive(0, 4), {3});
  const auto t = at::tensor({0.0f, 0.3f, 0.71f, 1.0f});
  const auto said = field->forward(x, t);
  for (int64_t n = 0; n < 4; ++n) {
    const Row row{x[n][0].item<double>(), x[n][1].item<double>(), x[n][2].item<double>()};
    const auto expected = twin.velocity(row, t[n].item<double>(), 2);
    for (int64_t d = 0; d < 3; ++d)
      EXPECT_NEAR(said[n][d].item<double>(), expected[static_cast<size_t>(d)], 2e-4) << n << " " << d;
  }
}

TEST(VectorField, BeginsWithoutVelocity) {
  VectorField field(VectorFieldSize{.dim = 3, .width = 8, .blocks = 2});
  network::initialize(*field, 7);
  EXPECT_EQ(field->forward(at::ones({2, 3}), at::ones({2})).abs().max().item<float>(), 0);
  for (const auto& parameter : field->named_parameters())
    if (parameter.key().find("in.weight") != std::string::npos)
      EXPECT_GT(parameter.value().std().item<float>(), 0.1) << parameter.key();
}

TEST(VectorScale, CountsEachRowAsOftenAsItIsTold) {
  const auto rows = at::tensor({0.0f, 0.0f, 4.0f, 8.0f}).view({2, 2});
  const auto scale = network::scale_of(rows, at::tensor({3.0, 1.0}, at::kDouble));
  EXPECT_EQ(scale.mean[0].item<float>(), 1);
  EXPECT_EQ(scale.mean[1].item<float>(), 2);
  EXPECT_DOUBLE_EQ(scale.spread, std::sqrt((0.75 * 1 + 0.25 * 9 + 0.75 * 4 + 0.25 * 36) / 2));
  EXPECT_EQ(scale.length, 0);
}

TEST(VectorScale, KnowsTheLengthThatAllHave) {
  const auto rows = at::tensor({3.0f, 4.0f, 0.0f, -5.0f}).view({2, 2});
  EXPECT_DOUBLE_EQ(network::scale_of(rows, at::ones({2}, at::kDouble)).length, 5);
  EXPECT_THROW(network::scale_of(at::ones({3, 2}), at::ones({3}, at::kDouble)), Error);
}

// At velocity v0 all the way x_1 = x_0 + v0.
TEST(VectorPrior, WalksFromItsNoiseAndGoesBackToTheRowsScale) {
  auto prior = prior_of({.dim = 3, .width = 4, .blocks = 1});
  const at::NoGradGuard no_grad;
  auto parameters = prior.field->named_parameters();
  parameters["output.weight"].zero_();
  parameters["output.bias"].fill_(2);
  const auto noise = rng::normal({11, rng::Purpose::kSampleVector, 0}, {5, 9}, {3});
  const auto drawn = prior.draw(11, {5, 9}, at::kCPU);
  EXPECT_TRUE(at::allclose(drawn, (noise + 2) * 0.5 + at::arange(3), 1e-4, 1e-4));
  prior.scale.length = 7;
  EXPECT_TRUE(at::allclose(prior.draw(11, {5, 9}, at::kCPU).norm(2, {1}), at::full({2}, 7.0f), 1e-5, 0));
}

TEST(VectorPrior, AVectorDependsOnItsSeedAndNumberAlone) {
  const auto prior = prior_of({.dim = 3, .width = 4, .blocks = 2});
  const auto three = prior.draw(1, {4, 5, 6}, at::kCPU);
  EXPECT_TRUE(at::allclose(prior.draw(1, {5}, at::kCPU)[0], three[1], 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(three[0], three[1], 1e-2, 1e-2));
  EXPECT_FALSE(at::allclose(prior.draw(2, {4, 5, 6}, at::kCPU), three, 1e-2, 1e-2));
}

TEST(VectorPrior, ComesBackFromItsTensors) {
  const VectorFieldSize size{.dim = 3, .width = 4, .blocks = 2};
  auto prior = prior_of(size);
  prior.scale.length = 3;
  auto tensors = prior.tensors();
  const auto again = VectorPrior::of(size, tensors, "a file");
  EXPECT_TRUE(at::equal(again.draw(1, {0, 1}, at::kCPU), prior.draw(1, {0, 1}, at::kCPU)));
  const auto refused = [&] {
    try {
      VectorPrior::of(size, tensors, "a file");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  tensors["field.output.bias"] = at::zeros({4});
  EXPECT_THAT(refused(), HasSubstr("a file: tensor field.output.bias has the shape [4], expected [3]"));
  tensors.erase("field.output.bias");
  EXPECT_THAT(refused(), HasSubstr("a file: tensor field.output.bias is missing"));
}

}  // namespace
