#include "sdg/study/condition_gain.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/conditions/condition_source.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/flow/path.h"
#include "sdg/network/assign.h"
#include "support/tiny_run.h"

using namespace sdg;
using namespace sdg::study;

namespace {

class Gain : public ::testing::Test {
 protected:
  Gain() { test::write_tiny_data(data_); }

  checkpoint::Trained trained(const std::string& source, double drop = 0.15) const {
    auto config = test::tiny_config(data_, source);
    config.condition.drop = drop;
    return checkpoint::load_trained(test::train_quietly(config, folder_ / cat(source, drop)).checkpoint, at::kCPU);
  }

  const test::TemporaryFolder folder_;
  const std::filesystem::path data_ = folder_ / "data.safetensors";
};

}  // namespace

// Image by image, from the equations.
TEST_F(Gain, IsWhatEachImageSaysAlone) {
  const auto run = trained("label");
  const auto& config = run.info.config;
  const auto opened = data::open_data(config.data, "");
  const data::Dataset dataset(opened, config.data);
  const std::vector<int64_t> indices{0, 3, 5, 11, 20};
  const auto ids = conditions::condition_ids(run, opened, dataset, indices, at::kCPU);
  const std::vector<double> times{0.2, 0.8};
  const auto gain = condition_gain(run, dataset, indices, ids, times, at::kCPU);

  const at::NoGradGuard no_grad;
  std::vector<std::array<double, 2>> of_image(indices.size());  // told nothing and its own, both times together
  for (size_t step = 0; step < times.size(); ++step) {
    double none = 0, own = 0, other = 0;
    for (size_t i = 0; i < indices.size(); ++i) {
      const auto x = dataset.values({indices[i]});
      const auto eps =
          rng::normal({recipe::seed_of(config), rng::Purpose::kNoise, 1 + step}, {indices[i]}, x.sizes().slice(1));
      const double t = times[step], s = config.flow.sigma_min;
      const auto x_t = t * x + (1 - (1 - s) * t) * eps, target = x - (1 - s) * eps;
      const auto error = [&](const model::Condition& condition) {
        const auto velocity = run.network.velocity(x_t, at::full({1}, t), condition);
        return (velocity - target).square().mean().item<double>();
      };
      const auto id = [&](size_t k) {
        return model::Condition::given(ids.slice(0, static_cast<int64_t>(k), static_cast<int64_t>(k) + 1));
      };
      const double e_none = error(model::Condition::null()), e_own = error(id(i));
      none += e_none;
      own += e_own;
      other += error(id(i == 0 ? indices.size() - 1 : i - 1));
      of_image[i][0] += e_none;
      of_image[i][1] += e_own;
    }
    const auto n = static_cast<double>(indices.size());
    EXPECT_NEAR(gain.none[step], none / n, 1e-5 * none / n);
    EXPECT_NEAR(gain.own[step], own / n, 1e-5 * own / n);
    EXPECT_NEAR(gain.other[step], other / n, 1e-5 * other / n);
  }
  const double none = gain.none[0] + gain.none[1], own = gain.own[0] + gain.own[1];
  EXPECT_NEAR(gain.gain, 1 - own / none, 1e-12);
  EXPECT_NEAR(gain.gain_of_other, 1 - (gain.other[0] + gain.other[1]) / none, 1e-12);
  // The error against leaving each image out once (the jackknife), which for a ratio agrees to first order.
  double squares = 0, mean = 0;
  std::vector<double> left;
  for (size_t i = 0; i < of_image.size(); ++i) {
    double a = 0, b = 0;
    for (size_t k = 0; k < of_image.size(); ++k) {
      if (k == i) continue;
      a += of_image[k][1];
      b += of_image[k][0];
    }
    left.push_back(1 - a / b);
    mean += left.back() / 5;
  }
  for (const auto each : left) squares += (each - mean) * (each - mean);
  EXPECT_NEAR(gain.error, std::sqrt(squares * 4 / 5), 0.1 * gain.error);
}

TEST_F(Gain, NeedsConditionsThatWereDroppedAtTimes) {
  const auto refused = [&](const checkpoint::Trained& run) {
    const auto opened = data::open_data(run.info.config.data, "");
    const data::Dataset dataset(opened, run.info.config.data);
    return test::message_of<UsageError>(
        [&] { condition_gain(run, dataset, {0, 1}, at::zeros({2}, at::kLong), {0.5}, at::kCPU); });
  };
  EXPECT_NE(refused(trained("none")).find("has no conditions"), std::string::npos);
  EXPECT_NE(refused(trained("label", 0)).find("condition.drop 0"), std::string::npos);
}
