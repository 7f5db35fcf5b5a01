#include "sdg/cludi/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "planted.h"
#include "sdg/core/error.h"
#include "sdg/metrics/clustering.h"

using namespace sdg;

namespace {

// Seconds instead of hours.
cludi::CludiOptions small(cludi::Preset preset = cludi::Preset::kAsCode) {
  auto out = cludi::preset(preset);
  out.model.embedding = 8;
  out.train.batch = 20;
  out.train.copies = 2;
  out.train.steps = 3;
  out.train.epochs = 3;
  out.train.warmup = 0;
  out.train.lr = 1e-3;
  out.train.clip = 1e-4;  // below what gradients are here
  out.answer.steps = 3;
  out.answer.draws = 2;
  return out;
}

const Tensor& rows() {
  static const auto x = test::planted_rows(3, 15, 12);
  return x;
}

void advance(cludi::Trainer& trainer, int64_t steps) {
  for (int64_t i = 0; i < steps; ++i) trainer.advance();
}

bool same(const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b) {
  for (const auto& [name, tensor] : a)
    if (!at::equal(tensor, b.at(name))) return false;
  return a.size() == b.size();
}

// After two steps on the same draws.
std::map<std::string, Tensor> after_two(const cludi::CludiOptions& options) {
  cludi::Trainer trainer(rows(), 3, options, 1);
  advance(trainer, 2);
  return trainer.state();
}

}  // namespace

TEST(CludiTrainer, GoesOnBitForBit) {
  for (const auto preset : {cludi::Preset::kAsCode, cludi::Preset::kAsDescribed}) {
    cludi::Trainer whole(rows(), 3, small(preset), 1), first(rows(), 3, small(preset), 1),
        second(rows(), 3, small(preset), 1);
    EXPECT_EQ(whole.steps(), 9);
    advance(whole, 9);
    advance(first, 4);
    auto kept = first.state();
    for (auto& [name, tensor] : kept) tensor = tensor.clone();
    second.restore(kept, 4, "kept");
    advance(second, 5);
    EXPECT_TRUE(same(whole.state(), second.state())) << config::name(preset);
    EXPECT_TRUE(at::equal(whole.answer(rows()).probabilities, second.answer(rows()).probabilities));
    kept.erase("student.norm.weight");
    try {
      second.restore(kept, 4, "kept");
      ADD_FAILURE() << "a missing tensor went unnoticed";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "kept: holds no student.norm.weight");
    }
  }
}

TEST(CludiTrainer, FindsPlantedClusters) {
  for (const auto preset : {cludi::Preset::kAsCode, cludi::Preset::kAsDescribed}) {
    auto options = small(preset);
    options.train.epochs = 120;
    options.train.clip = 4;
    options.train.copies = 4;
    options.train.lr = 2e-3;
    options.train.average = 0.97;
    options.train.noise_high = 0.4;
    cludi::Trainer trainer(rows(), 3, options, 1);
    advance(trainer, trainer.steps());
    const auto found = trainer.answer(rows());
    EXPECT_GT(metrics::cluster_scores(test::planted_labels(3, 15), found.ids).nmi, 0.6)
        << config::name(preset);  // chance: 0.05
    EXPECT_LT((found.probabilities.sum(1) - 1).abs().max().item<double>(), 1e-5);
    EXPECT_EQ(found.prototypes.sizes(), (Shape{3, 8}));
    EXPECT_LT((found.embeddings.norm(2, {1}) - std::sqrt(8.0)).abs().max().item<double>(), 1e-4);
  }
}

TEST(CludiTrainer, EveryChoiceOfTrainingChangesWhatIsLearned) {
  const auto before = after_two(small());
  using Change = std::function<void(cludi::CludiOptions&)>;
  const std::map<std::string, Change> changes{
      {"teacher_gradient", [](auto& o) { o.train.teacher_gradient = false; }},
      {"teacher",
       [](auto& o) {
         o.train.teacher = cludi::Weights::kAverage;
         o.train.teacher_gradient = false;
       }},
      {"half_targets", [](auto& o) { o.train.half_targets = false; }},
      {"pair_weight", [](auto& o) { o.train.pair_weight = cludi::PairWeight::kStudent; }},
      {"clipping", [](auto& o) { o.train.clipping = cludi::Clipping::kAll; }},
      {"self_condition", [](auto& o) { o.train.self_condition = 1; }},
      {"schedule", [](auto& o) { o.noise.schedule = cludi::Schedule::kCosine; }},
      {"rescale", [](auto& o) { o.noise.rescale = 49; }},
      {"factor", [](auto& o) { o.noise.factor = 2; }},
      {"weight_cap", [](auto& o) { o.noise.weight_cap = 0.1; }},
      {"divide_weight", [](auto& o) { o.noise.divide_weight = false; }},
      {"dropout", [](auto& o) { o.model.dropout = 0; }},
      {"predicts", [](auto& o) { o.model.predicts = cludi::Predicts::kVelocity; }},
      {"clamp", [](auto& o) { o.draw.clamp = 0; }},
      {"eta", [](auto& o) { o.draw.eta = 0; }},
      {"temperature", [](auto& o) { o.draw.temperature = 0.2; }},
      {"steps", [](auto& o) { o.train.steps = 2; }},
      {"noise_high", [](auto& o) { o.train.noise_high = 0.2; }},
      {"drop_high", [](auto& o) { o.train.drop_high = 0.05; }},
      {"diffusion", [](auto& o) { o.train.diffusion = 0; }},
      {"assignment", [](auto& o) { o.train.assignment = 1; }},
      {"row_temperature", [](auto& o) { o.train.row_temperature = 0.2; }},
      {"column_temperature", [](auto& o) { o.train.column_temperature = 0.1; }},
      {"clip", [](auto& o) { o.train.clip = 0; }},
      {"average", [](auto& o) { o.train.average = 0.05; }},
      {"average_updates", [](auto& o) { o.train.average_updates = 1; }},
      {"weight_decay", [](auto& o) { o.train.weight_decay = 0; }},
      {"warmup", [](auto& o) { o.train.warmup = 1; }},
      {"lr_end", [](auto& o) { o.train.lr_end = 1e-3; }},
      {"beta1", [](auto& o) { o.train.beta1 = 0.5; }},
      {"beta2", [](auto& o) { o.train.beta2 = 0.5; }},
  };
  for (const auto& [name, change] : changes) {
    auto options = small();
    change(options);
    EXPECT_FALSE(same(before, after_two(options))) << name << " is without effect";
  }
  EXPECT_TRUE(same(before, after_two(small())));
}

TEST(CludiTrainer, ThreeHeadsTrainAndTheirCentresOnlyWhereAsked) {
  auto options = small();
  options.model.multiple_k = true;
  const auto frozen = after_two(options);
  EXPECT_EQ(frozen.at("student.last_layer3.0.weight").size(0), 12);
  options.model.centers = cludi::Centers::kFurther;
  const auto further = after_two(options);
  EXPECT_TRUE(at::equal(frozen.at("student.clusters_centers"), further.at("student.clusters_centers")));
  EXPECT_FALSE(at::equal(frozen.at("student.clusters_centers2"), further.at("student.clusters_centers2")));
  options.train.head_sum = cludi::HeadSum::kPlain;
  EXPECT_FALSE(same(further, after_two(options)));
}

TEST(CludiTrainer, TheAnswerFollowsItsOptions) {
  cludi::Trainer trainer(rows(), 3, small(), 1);
  advance(trainer, 4);
  const auto before = trainer.answer(rows()).probabilities;
  const auto answered = [&](const cludi::CludiOptions& options) {  // by what was learned, with other options
    cludi::Trainer other(rows(), 3, options, 1);
    other.restore(trainer.state(), 4, "what was learned");
    return other.answer(rows()).probabilities;
  };
  using Change = std::function<void(cludi::AnswerOptions&)>;
  for (const auto& change :
       std::vector<Change>{[](auto& o) { o.steps = 2; }, [](auto& o) { o.draws = 5; },
                           [](auto& o) { o.early_stop = 2; }, [](auto& o) { o.mean = cludi::Mean::kProbabilities; },
                           [](auto& o) { o.weights = cludi::Weights::kAverage; }}) {
    auto options = small();
    change(options.answer);
    EXPECT_FALSE(at::equal(before, answered(options)));
  }
  EXPECT_TRUE(at::equal(before, answered(small())));
}

TEST(CludiTrainer, RefusesWhatContradictsItself) {
  const auto message = [](const std::function<void(cludi::CludiOptions&)>& change, const Tensor& x, int64_t clusters) {
    auto options = small();
    change(options);
    try {
      cludi::Trainer(x, clusters, options, 1);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  const auto nothing = [](cludi::CludiOptions&) {};
  EXPECT_THAT(message([](auto& o) { o.train.teacher = cludi::Weights::kAverage; }, rows(), 3),
              ::testing::HasSubstr("teacher_gradient"));
  EXPECT_THAT(message([](auto& o) { o.train.drop_high = 0; }, rows(), 3), ::testing::HasSubstr("drop_low"));
  EXPECT_THAT(message([](auto& o) { o.model.centers = cludi::Centers::kFurther; }, rows(), 3),
              ::testing::HasSubstr("multiple_k"));
  EXPECT_THAT(message(
                  [](auto& o) {
                    o.train.steps = 1001;
                    o.noise.levels = 1000;
                  },
                  rows(), 3),
              ::testing::HasSubstr("1001 steps of 1000"));
  EXPECT_THAT(message(nothing, rows(), 1), ::testing::HasSubstr("at least 2 clusters, got 1"));
  EXPECT_THAT(message(nothing, rows() * std::numeric_limits<float>::infinity(), 3),
              ::testing::HasSubstr("features holds NaN or infinity"));
}

TEST(CludiTrainer, LearnsInBf16WhatItLearnsInFloat32WithinItsRounding) {
  if (!has_native_bf16()) GTEST_SKIP() << "this CPU does not multiply bf16 itself";
  for (const auto preset : {cludi::Preset::kAsCode, cludi::Preset::kAsDescribed}) {
    auto options = small(preset);
    cludi::Trainer full(rows(), 3, options, 1);
    options.precision = Precision::kBf16;
    cludi::Trainer whole(rows(), 3, options, 1), resumed(rows(), 3, options, 1);
    for (int step = 0; step < 4; ++step) {
      const double expected = full.advance(), loss = whole.advance();
      EXPECT_NE(loss, expected);  // or nothing was computed in bf16
      EXPECT_NEAR(loss, expected, 0.02 * expected) << config::name(preset) << ", step " << step;
    }
    auto kept = whole.state();
    for (auto& [name, tensor] : kept) {
      EXPECT_NE(tensor.scalar_type(), at::kBFloat16) << name;
      tensor = tensor.clone();
    }
    resumed.restore(kept, 4, "kept");
    advance(whole, 2);
    advance(resumed, 2);
    EXPECT_TRUE(same(whole.state(), resumed.state())) << config::name(preset);
    EXPECT_EQ(whole.answer(rows()).probabilities.scalar_type(), at::kFloat);
  }
}
