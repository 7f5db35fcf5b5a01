#include "sdg/train/initial_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "train/tiny_run.h"

using namespace sdg;
using ::testing::Contains;
using ::testing::HasSubstr;

namespace {
class InitialWeights : public ::testing::Test {
 protected:
  InitialWeights() : data_(folder_ / "data.safetensors") { test::write_tiny_data(data_); }
  const test::TemporaryFolder folder_;
  const std::filesystem::path data_;
};
}  // namespace

TEST_F(InitialWeights, TakeWhatFitsAndSayWhatDoesNot) {
  const auto config = test::tiny_config(data_);
  auto network = train::build_network(config, 0, at::kCPU);
  io::TensorFile file;
  file.tensors["patch_embed.proj.bias"] = at::full({16}, 3.0F);
  file.tensors["pos_embed"] = at::zeros({1, 5, 16});
  file.tensors["label_emb.weight"] = at::zeros({11, 16});
  io::write_tensors(folder_ / "public.safetensors", file);
  const auto before = network.tensors("").at("pos_embed").clone();
  const auto taken = train::start_from(network, folder_ / "public.safetensors");
  EXPECT_EQ(taken.taken, 1);
  EXPECT_THAT(taken.unfit, Contains("pos_embed"));
  EXPECT_THAT(taken.unused, Contains("label_emb.weight"));
  EXPECT_THAT(taken.fresh, Contains("cls_token"));
  EXPECT_TRUE(taken.class_conditional);
  EXPECT_TRUE(network.tensors("").at("patch_embed.proj.bias").eq(3).all().item<bool>());
  EXPECT_TRUE(at::equal(network.tensors("").at("pos_embed"), before));
  EXPECT_THAT(train::to_text(taken), HasSubstr("took 1 tensors of public.safetensors"));
}

TEST_F(InitialWeights, ThatFitNowhereAreRefused) {
  auto network = train::build_network(test::tiny_config(data_), 0, at::kCPU);
  io::TensorFile file;
  file.tensors["conv1.weight"] = at::zeros({3});
  io::write_tensors(folder_ / "other.safetensors", file);
  EXPECT_THAT(test::message_of<Error>([&] { train::start_from(network, folder_ / "other.safetensors"); }),
              HasSubstr("none of its 1 tensors"));
}

TEST_F(InitialWeights, OfARunAreItsAverageAndBothCopiesBeginWithThem) {
  auto config = test::tiny_config(data_);
  test::train_quietly(config, folder_ / "first");
  config.model.weights = train::RunFolder(folder_ / "first").last().string();
  config.train.lr = 0;  // nothing moves: what comes out is what went in
  test::train_quietly(config, folder_ / "second");
  const auto first = io::read_tensors(train::RunFolder(folder_ / "first").last());
  const auto second = io::read_tensors(train::RunFolder(folder_ / "second").last());
  const std::string name = "in_blocks.0.attn.qkv.weight";
  EXPECT_TRUE(test::same_bytes(second.at("model." + name), first.at("ema." + name)));
  EXPECT_TRUE(at::allclose(second.at("ema." + name), first.at("ema." + name)));
}
