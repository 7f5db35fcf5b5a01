// Conditions of every kind from a file: vectors, vectors a patch, maps, an index and a map.
#include "sdg/network/stored_conditions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/error.h"
#include "sdg/generate/generate.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kImages = 40, kSide = 8;

Tensor numbers(int64_t key, at::IntArrayRef shape) {
  return rng::normal({6, rng::Purpose::kTest, static_cast<uint64_t>(key)}, rng::consecutive(0, kImages), shape);
}

// Classes of the pixels: another quarter of each image is class 1 or 2.
Tensor class_maps() {
  auto maps = at::zeros({kImages, kSide, kSide}, at::kByte);
  for (int64_t i = 0; i < kImages; ++i) maps[i].narrow(0, i % 4 / 2 * 4, 4).narrow(1, i % 2 * 4, 4).fill_(1 + i % 2);
  return maps;
}

struct Kind {
  std::string name, network;
  std::map<std::string, Tensor> tensors;
  model::ConditionKind kind;
};

std::vector<Kind> kinds() {
  using model::ConditionKind;
  const auto ids = at::arange(kImages) % 4;
  return {{"vectors", "uvit-tiny/2", {{"vectors", numbers(1, {16})}}, ConditionKind::kVector},
          {"patches", "uvit-tiny/2", {{"patch_vectors", numbers(2, {4, 16})}}, ConditionKind::kPatchVector},
          {"maps", "sg-unet-fast", {{"maps", class_maps()}}, ConditionKind::kMap},
          {"floats", "sg-unet-fast", {{"maps", numbers(3, {2, kSide, kSide})}}, ConditionKind::kMap},
          {"several", "sg-unet-fast", {{"ids", ids}, {"maps", class_maps()}}, ConditionKind::kIndex},
          {"wide", "sg-unet-fast", {{"vectors", numbers(4, {5})}, {"maps", class_maps()}}, ConditionKind::kVector}};
}

class StoredConditions : public ::testing::Test {
 protected:
  StoredConditions() { test::write_tiny_data(folder_ / "data.safetensors"); }

  recipe::RunConfig config_of(const Kind& kind) const {
    auto config = test::tiny_config(folder_ / "data.safetensors", "file");
    if (kind.network != "uvit-tiny/2") {
      config.model = {};
      config.model.dim = 32;
      config.model.depth = 1;
    }
    config.model.name = kind.network;
    const auto file = folder_ / (kind.name + ".safetensors");
    tensors::TensorFile out;
    out.tensors = kind.tensors;
    tensors::write_tensors(file, out);
    config.condition.file = file.string();
    config.train.steps = 4;
    config.train.warmup = 1;
    return config;
  }
  std::string problem(const Kind& kind) const {
    const auto config = config_of(kind);
    return test::message_of<Error>([&] { test::train_quietly(config, folder_ / (kind.name + "-run")); });
  }

  const test::TemporaryFolder folder_;
};

}  // namespace

TEST_F(StoredConditions, OfEveryKindTrainAndGoOnAsIfTheyHadNeverStopped) {
  for (const auto& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const auto config = config_of(kind);
    const auto whole = test::train_quietly(config, folder_ / (kind.name + "-whole"));
    test::train_quietly(config, folder_ / (kind.name + "-parts"), 2);
    const auto parts = test::train_quietly(config, folder_ / (kind.name + "-parts"));
    test::expect_same_tensors(whole.checkpoint, parts.checkpoint);

    auto other = kind.tensors;
    for (auto& [name, tensor] : other) tensor = tensor.flip(0).contiguous();
    tensors::TensorFile changed;
    changed.tensors = other;
    tensors::write_tensors(config.condition.file, changed);
    EXPECT_THAT(test::message_of<Error>([&] { test::train_quietly(config, folder_ / (kind.name + "-parts")); }),
                HasSubstr("gives other"));
  }
}

// Against a twin that asks the network for each half alone, one image at a time.
TEST_F(StoredConditions, OfEveryKindGuideWhatIsDrawnWithoutTheDataSet) {
  for (const auto& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const auto config = config_of(kind);
    const auto path = test::train_quietly(config, folder_ / (kind.name + "-run")).checkpoint;
    std::filesystem::remove(config.condition.file);
    auto trained = checkpoint::load_trained(path, at::kCPU);
    ASSERT_TRUE(trained.network.stored);
    EXPECT_EQ(trained.network.stored->kind(), kind.kind);
    EXPECT_EQ(trained.network.stored->rows(), kImages);
    ASSERT_EQ(trained.prior.size(0), kImages);
    {
      // A network of four steps hardly minds its condition; one of random weights does.
      const at::NoGradGuard no_grad;
      int64_t key = 0;
      for (auto& parameter : trained.network.model->parameters())
        parameter.add_(rng::normal({9, rng::Purpose::kTest, 0}, {key++}, parameter.sizes()).view(parameter.sizes()),
                       0.1);
    }
    const auto drawn = [&](int64_t row) {
      generate::Request request;
      request.sample.count = 2;
      request.sample.steps = 2;
      request.sample.guidance = 2.5;
      request.cluster = row;
      Tensor x;
      request.to_images = [&](const Tensor& piece) {
        x = piece.clone();
        return at::zeros({piece.size(0), 1, kSide, kSide}, at::kByte);
      };
      generate::generate(trained.info.config, trained.network, trained.prior, at::kCPU, request);
      return x;
    };
    const auto of_seven = drawn(7);
    EXPECT_GT((of_seven - drawn(6)).abs().max().item<double>(), 1e-3);

    const c10::InferenceMode inference;
    const auto given = trained.network.stored->of(at::full({1}, 7, at::kLong));
    auto slow = rng::normal({0, rng::Purpose::kSampleNoise, 0}, {1}, {1, kSide, kSide});
    for (const double t : {0.0, 0.5}) {
      const auto at_t = at::full({1}, t, at::kFloat);
      const auto u = trained.network.velocity(slow, at_t, model::Condition::null());
      slow = slow + 0.5 * (u + 2.5 * (trained.network.velocity(slow, at_t, given) - u));
    }
    EXPECT_LT((of_seven[1] - slow[0]).abs().max().item<double>(),
              1e-4 * std::max(1.0, slow.abs().max().item<double>()));
  }
}

TEST_F(StoredConditions, KeepSomeRowsForSampling) {
  network::StoredConditions many;
  many.values = at::arange(3000, at::kFloat).view({1000, 3});
  EXPECT_TRUE(at::equal(many.some().values, many.values)) << "they are few bytes";
  many.values = at::arange(100, at::kFloat).view({100, 1}).expand({100, 1 << 18});  // 1 MiB each
  const auto some = many.some();
  EXPECT_EQ(some.rows(), 64);
  EXPECT_TRUE(at::equal(some.values, many.some().values));
  EXPECT_TRUE(some.values.eq(some.values.select(1, 0).unsqueeze(1)).all().item<bool>()) << "rows stay whole";
  network::StoredConditions large;
  large.maps = at::zeros({40, 3, 512, 512}, at::kFloat);  // 3 MiB each
  EXPECT_EQ(large.some().rows(), 21);
}

TEST_F(StoredConditions, ThatDoNotFitAreRefused) {
  const auto ids = at::arange(kImages) % 4;
  const auto wrong = [](const std::string& network, std::map<std::string, Tensor> tensors) {
    return Kind{"wrong", network, std::move(tensors), model::ConditionKind::kNone};
  };
  const std::string uvit = "uvit-tiny/2", sg = "sg-unet-fast";
  EXPECT_THAT(problem(wrong(uvit, {{"maps", class_maps()}})), HasSubstr("takes no maps"));
  EXPECT_THAT(problem(wrong(uvit, {{"vectors", numbers(1, {5})}})), HasSubstr("as wide as the tokens, 16, got 5"));
  EXPECT_THAT(problem(wrong(sg, {{"maps", at::zeros({kImages, 4, 4}, at::kByte)}})), HasSubstr("8 x 8, got 4 x 4"));
  EXPECT_THAT(problem(wrong(sg, {{"maps", class_maps().slice(0, 1)}})), HasSubstr("the first of 40 images"));
  EXPECT_THAT(problem(wrong(sg, {{"vectors", numbers(1, {5})}, {"ids", ids}, {"maps", class_maps()}})),
              HasSubstr("expected one of vectors"));
  EXPECT_THAT(problem(wrong(sg, {{"vectors", numbers(1, {5}) / 0}})), HasSubstr("NaN or infinity"));
  EXPECT_THAT(problem(wrong(sg, {{"vectors", ids.view({kImages, 1})}})), HasSubstr("floating point"));
}
