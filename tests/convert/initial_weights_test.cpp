#include "sdg/convert/initial_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "sdg/core/error.h"
#include "sdg/model/recognise.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::AllOf;
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

TEST_F(InitialWeights, TakeWhatFitsWhenAskedAndSayWhatDoesNot) {
  const auto config = test::tiny_config(data_);
  auto network = network::build_network(config, 0, at::kCPU);
  tensors::TensorFile file;
  file.tensors["patch_embed.proj.bias"] = at::full({16}, 3.0F);
  file.tensors["pos_embed"] = at::zeros({1, 5, 16});
  file.tensors["label_emb.weight"] = at::zeros({11, 16});
  tensors::write_tensors(folder_ / "public.safetensors", file);
  const auto before = network.tensors("").at("pos_embed").clone();
  const auto message = test::message_of<Error>([&] { convert::start_from(network, folder_ / "public.safetensors"); });
  EXPECT_THAT(message,
              AllOf(HasSubstr("does not fit the network: 1 of its"), HasSubstr("are missing (decoder_pred.bias"),
                    HasSubstr("1 have another shape (pos_embed [1, 5, 16] instead of [1, 7, 16])"),
                    HasSubstr("--set model.weights_match=matching")));
  EXPECT_FALSE(network.tensors("").at("patch_embed.proj.bias").eq(3).any().item<bool>()) << "nothing was copied";
  const auto taken = convert::start_from(network, folder_ / "public.safetensors", model::WeightsMatch::kMatching);
  EXPECT_EQ(taken.taken, 1);
  EXPECT_THAT(taken.unfit, Contains(HasSubstr("pos_embed")));
  EXPECT_THAT(taken.unused, Contains("label_emb.weight"));
  EXPECT_THAT(taken.fresh, Contains("cls_token"));
  EXPECT_EQ(taken.provenance.verdict(), checkpoint::Verdict::kNo);
  EXPECT_TRUE(network.tensors("").at("patch_embed.proj.bias").eq(3).all().item<bool>());
  EXPECT_TRUE(at::equal(network.tensors("").at("pos_embed"), before));
  EXPECT_THAT(to_text(taken), HasSubstr("took 1 tensors of public.safetensors"));
}

TEST_F(InitialWeights, OfAnotherConditionNeedNoPermission) {
  for (const std::string from : {"none", "label", "online"}) {
    for (const std::string to : {"none", "label", "online"}) {
      auto config = test::tiny_config(data_, from);
      config.model.name = "dit-tiny/2";
      const auto whole = network::build_network(config, 4, at::kCPU).tensors("");
      tensors::write_tensors(folder_ / "w.safetensors", {whole, {}});
      test::named(config.condition.source, to);
      auto network = network::build_network(config, 4, at::kCPU);
      const auto taken = convert::start_from(network, folder_ / "w.safetensors");
      EXPECT_GE(taken.taken, 30) << from << " to " << to;
      EXPECT_EQ(taken.provenance.verdict() == checkpoint::Verdict::kNo, from == "label");
      EXPECT_EQ(taken.fresh.empty() && taken.unused.empty(), from == to);
    }
  }
}

TEST_F(InitialWeights, MayHaveMembersOfClustersOnOneSideAlone) {
  const auto built = [&](const std::string& token) {
    auto config = test::tiny_config(data_);
    config.model.name = "dit-tiny/2";
    test::named(config.condition.token, token);
    return network::build_network(config, 0, at::kCPU);
  };
  for (const auto* from : {"scaled", "centroid"}) {
    const auto whole = built(from).tensors("");
    tensors::write_tensors(folder_ / "w.safetensors", {whole, {}});
    const auto found = model::recognise(whole);
    ASSERT_TRUE(found && found->head);
    EXPECT_TRUE(found->unexpected.empty()) << from;
    EXPECT_EQ(found->head->centroids, whole.contains("members.sum"));
    auto network = built(std::string(from) == "scaled" ? "centroid" : "scaled");
    const auto taken = convert::start_from(network, folder_ / "w.safetensors");
    const auto& alone = whole.contains("members.sum") ? taken.unused : taken.fresh;
    EXPECT_THAT(alone, ::testing::ElementsAre("members.sum", "members.weight"));
  }
}

TEST_F(InitialWeights, OfAnotherNetworkAreRefusedOnBothSides) {
  auto config = test::tiny_config(data_);
  config.model.name = "dit-tiny/2";
  auto network = network::build_network(config, 0, at::kCPU);
  const auto refusal = [&](const std::function<void(std::map<std::string, Tensor>&)>& change) {
    auto tensors = network.tensors("");
    change(tensors);
    tensors::write_tensors(folder_ / "w.safetensors", {tensors, {}});
    return test::message_of<Error>([&] { convert::start_from(network, folder_ / "w.safetensors"); });
  };
  EXPECT_THAT(refusal([](auto& t) { t.erase("blocks.1.mlp.fc1.bias"); }),
              HasSubstr("1 are missing (blocks.1.mlp.fc1.bias)"));
  EXPECT_THAT(refusal([](auto& t) { t["blocks.7.mlp.fc1.bias"] = at::zeros({3}); }),
              HasSubstr("1 of the file have no place (blocks.7.mlp.fc1.bias)"));
  EXPECT_THAT(refusal([](auto& t) { t["prototypes.weight"] = at::zeros({9, 16}); }),
              HasSubstr("prototypes.weight [9, 16]"));
  EXPECT_THAT(refusal([](auto& t) { t.erase("projection_head.0.bias"); }), HasSubstr("projection_head.0.bias"))
      << "a part of a head is no head";
  EXPECT_THAT(refusal([](auto& t) { t["blocks.1.mlp.fc1.bias"] = t["blocks.1.mlp.fc1.bias"] / 0; }),
              HasSubstr("blocks.1.mlp.fc1.bias holds NaN or infinity"));
  EXPECT_EQ(refusal([](auto& t) { t["pos_embed"] = at::zeros({1, 99, 16}); }), "no error")
      << "a fixed table is made anew";
  EXPECT_THAT(refusal([](auto& t) { t["projectors.0.0.weight"] = at::zeros({1}); }), HasSubstr("projectors.0.0.weight"))
      << "REPA's networks run time the other way";
}

TEST_F(InitialWeights, AreFoundBelowWhateverStandsBeforeTheirNames) {
  auto config = test::tiny_config(data_, "none");
  auto network = network::build_network(config, 0, at::kCPU);
  tensors::TensorFile file;
  for (const auto& [name, tensor] : network.tensors("")) {
    file.tensors["net." + name] = at::full_like(tensor, 1);
    file.tensors["net_ema." + name] = at::full_like(tensor, 2);
  }
  file.tensors["loss.weight"] = at::zeros({1});
  tensors::write_tensors(folder_ / "w.safetensors", file);
  const auto taken = convert::start_from(network, folder_ / "w.safetensors");
  EXPECT_TRUE(network.tensors("").at("patch_embed.proj.bias").eq(2).all().item<bool>());
  EXPECT_THAT(to_text(taken), AllOf(HasSubstr("begin with net_ema."), HasSubstr("also holds such a network below net."),
                                    HasSubstr("loss.weight")));
}

TEST_F(InitialWeights, ThatFitNowhereAreRefused) {
  auto network = network::build_network(test::tiny_config(data_), 0, at::kCPU);
  tensors::TensorFile file;
  file.tensors["conv1.weight"] = at::zeros({3});
  tensors::write_tensors(folder_ / "other.safetensors", file);
  EXPECT_THAT(test::message_of<Error>([&] { convert::start_from(network, folder_ / "other.safetensors"); }),
              HasSubstr("none of its 1 tensors"));
}

TEST_F(InitialWeights, OfARunAreItsAverageAndBothCopiesBeginWithThem) {
  auto config = test::tiny_config(data_);
  test::train_quietly(config, folder_ / "first");
  config.model.weights = checkpoint::RunFolder(folder_ / "first").last().string();
  config.train.lr = 0;  // nothing moves: what comes out is what went in
  test::train_quietly(config, folder_ / "second");
  const auto first = tensors::read_tensors(checkpoint::RunFolder(folder_ / "first").last());
  const auto second = tensors::read_tensors(checkpoint::RunFolder(folder_ / "second").last());
  const std::string name = "in_blocks.0.attn.qkv.weight";
  EXPECT_TRUE(test::same_bytes(second.at("model." + name), first.at("ema." + name)));
  EXPECT_TRUE(at::allclose(second.at("ema." + name), first.at("ema." + name)));
}
