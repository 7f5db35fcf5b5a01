#include "sdg/average/profile.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"

using namespace sdg;

namespace {

// By the definition: the standard deviation of the density (gamma + 1) tau^gamma on [0, 1], by the midpoint rule.
double width_by_sums(double gamma) {
  constexpr int kParts = 200000;
  double mass = 0, mean = 0, square = 0;
  for (int i = 0; i < kParts; ++i) {
    const double tau = (i + 0.5) / kParts, weight = std::pow(tau, gamma);
    mass += weight;
    mean += weight * tau;
    square += weight * tau * tau;
  }
  mean /= mass;
  return std::sqrt(square / mass - mean * mean);
}

// The root of width_of by halving, on which only its falling is taken for granted.
double gamma_by_halving(double width) {
  double low = 0, high = 1e6;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    const double there = std::sqrt(middle + 1) / (middle + 2) / std::sqrt(middle + 3);
    (there > width ? low : high) = middle;
  }
  return low;
}

}  // namespace

TEST(AProfile, ItsWidthIsTheStandardDeviation) {
  for (const double gamma : {0.0, 1.5, 6.94, 16.97, 60.0})
    EXPECT_NEAR(average::width_of(gamma), width_by_sums(gamma), 1e-6) << gamma;
}

TEST(AProfile, GammaIsTheRootOfTheWidth) {
  for (const double width : {0.001, 0.01, 0.05, 0.1, 0.2, 0.28, average::kWidest}) {
    const double gamma = average::gamma_of(width);
    EXPECT_NEAR(gamma, gamma_by_halving(width), 1e-9 * std::max(1.0, gamma)) << width;
    EXPECT_NEAR(average::width_of(gamma), width, 1e-12) << width;
  }
  // The two that the paper names.
  EXPECT_NEAR(average::gamma_of(0.05), 16.97, 0.01);
  EXPECT_NEAR(average::gamma_of(0.10), 6.94, 0.01);
}

TEST(AProfile, HasNoWidthBeyondThatOfEqualWeights) {
  for (const double width : {-0.1, 0.0, 0.2887, 1.0, std::nan("")}) EXPECT_THROW(average::gamma_of(width), Error);
}

TEST(AProfile, WhatTheStepsKeepMakesItsWeights) {
  // After t steps the weights of step n count as the density's integral over [n - 1, n] / t.
  constexpr int kSteps = 50;
  const double gamma = average::gamma_of(0.1);
  std::vector<double> weights;
  for (int step = 1; step <= kSteps; ++step) {
    const double keep = average::kept_share(gamma, step);
    for (auto& weight : weights) weight *= keep;
    weights.push_back(1 - keep);
  }
  for (int n = 1; n <= kSteps; ++n) {
    const double expected = std::pow(n / 50.0, gamma + 1) - std::pow((n - 1) / 50.0, gamma + 1);
    EXPECT_NEAR(weights[static_cast<size_t>(n - 1)], expected, 1e-14) << n;
  }
}

TEST(AProfile, InnerProductsAreTheIntegralsOfProducts) {
  const auto density = [](const average::Profile& p, double tau) {
    return tau > p.time ? 0 : (p.gamma + 1) * std::pow(tau / p.time, p.gamma) / p.time;
  };
  const average::Profile all[] = {{6.94, 100}, {16.97, 100}, {6.94, 70}, {16.97, 30}, {0, 100}};
  for (const auto& a : all) {
    for (const auto& b : all) {
      constexpr int kParts = 100000;
      double sum = 0;
      for (int i = 0; i < kParts; ++i) {
        const double tau = 100 * (i + 0.5) / kParts;
        sum += density(a, tau) * density(b, tau) * 100 / kParts;
      }
      EXPECT_NEAR(average::inner(a, b), sum, 1e-4 * std::sqrt(average::inner(a, a) * average::inner(b, b)));
    }
  }
}
