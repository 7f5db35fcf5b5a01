// Training with align.extractor: what the outside network is shown, and the run around it.
#include "run/alignment_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/error.h"
#include "sdg/vision/vit.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::train_quietly;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

class AlignedRun : public ::testing::Test {
 protected:
  AlignedRun() : data_(folder_ / "data.safetensors"), vit_(folder_ / "vit.safetensors") {
    test::write_tiny_data(data_);
    tensors::TensorFile file;
    const vision::VitShape shape{.dim = 64, .depth = 1, .heads = 1, .patch = 14, .hidden = 32, .positions = 257};
    const vision::Vit net(shape);
    int64_t number = 0;
    for (const auto& parameter : net->named_parameters())
      file.tensors[parameter.key()] =
          rng::normal({9, rng::Purpose::kTest, 0}, {number++}, parameter.value().sizes()).squeeze(0) * 0.1;
    tensors::write_tensors(vit_, file);
  }
  recipe::RunConfig config(const std::string& extractor) const {
    auto out = test::tiny_config(data_);
    out.align.extractor = extractor;
    out.align.hidden = 8;
    if (extractor.starts_with("dino")) out.align.weights = vit_.string();
    return out;
  }
  checkpoint::RunFolder run(const std::string& name) const { return checkpoint::RunFolder(folder_ / name); }

  const test::TemporaryFolder folder_;
  const fs::path data_, vit_;
};

}  // namespace

TEST_F(AlignedRun, ShowsTheImageItselfAndAsksForAsManyPlacesAsThereAreTokens) {
  const auto config = this->config("dinov2-vits14");
  const auto opened = data::open_data(config.data, "");
  const auto target = run::alignment_target(config, opened, at::kCPU);
  ASSERT_TRUE(target);
  EXPECT_TRUE(target->places);
  EXPECT_EQ(target->width, 64);
  const data::Dataset dataset(opened, config.data);
  const auto bytes = dataset.images({0, 1, 2});
  const auto x = bytes.to(at::kFloat) / 127.5 - 1;
  const auto got = target->features(x, 2);
  ASSERT_EQ(got.sizes(), (Shape{3, 4, 64}));
  // The same by the network alone: normalised, then resized.
  const auto file = tensors::read_tensors(vit_);
  const auto named = vision::vit_weights(file.tensors);
  vision::Vit net(vision::vit_shape(named, "test"));
  net->load_state(named, "test");
  const auto mean = at::tensor({0.485, 0.456, 0.406}, at::kFloat).view({3, 1, 1});
  const auto deviation = at::tensor({0.229, 0.224, 0.225}, at::kFloat).view({3, 1, 1});
  const auto shown =
      at::upsample_bicubic2d((bytes.expand({-1, 3, -1, -1}).to(at::kFloat) / 255 - mean) / deviation, {28, 28}, false);
  const at::NoGradGuard no_grad;
  EXPECT_LT((got - net->forward(shown).patches).abs().max().item<double>(), 1e-5);
  const auto digits = run::alignment_target(this->config("digits"), opened, at::kCPU);
  EXPECT_FALSE(digits->places);
  EXPECT_EQ(digits->features(x, 2).sizes(), (Shape{3, 1, 64}));
  EXPECT_FALSE(run::alignment_target(test::tiny_config(data_), opened, at::kCPU));
}

TEST_F(AlignedRun, GoesOnBitForBitAndDrawsWithoutTheOutsideNetwork) {
  for (const std::string extractor : {"dinov2-vits14", "digits"}) {
    const auto config = this->config(extractor);
    train_quietly(config, folder_ / (extractor + "whole"));
    for (const int64_t k : {3, 5}) {
      const auto name = cat(extractor, k);
      train_quietly(config, folder_ / name, k);
      train_quietly(config, folder_ / name);
      test::expect_same_tensors(run(extractor + "whole").last(), run(name).last());
      EXPECT_EQ(test::figures(folder_ / (extractor + "whole")), test::figures(folder_ / name));
    }
    EXPECT_THAT(test::figures(folder_ / (extractor + "whole")), HasSubstr("\"alignment_loss\":"));
  }
  fs::remove(vit_);
  const auto trained = checkpoint::load_trained(run("dinov2-vits14whole").last(), at::kCPU);
  EXPECT_FALSE(trained.network.projector);
}

TEST_F(AlignedRun, ItsWeightsStartRunsWithoutAnAlignmentAndWithAnother) {
  train_quietly(config("digits"), folder_ / "first");
  for (const std::string extractor : {"none", "dinov2-vits14"}) {
    auto next = config(extractor);
    next.model.weights = run("first").last().string();
    EXPECT_TRUE(train_quietly(next, folder_ / ("from-first-" + extractor)).finished) << extractor;
  }
}

TEST_F(AlignedRun, WhatTheOutsideNetworkSawOfLabelsIsAudited) {
  const auto verdict = [&](const recipe::RunConfig& config, const std::string& name) {
    train_quietly(config, folder_ / name, 2);
    return checkpoint::audit(checkpoint::parse_info(tensors::read_tensor_header(run(name).last()), name)).label_free;
  };
  EXPECT_EQ(verdict(config("none"), "none"), checkpoint::Verdict::kYes);
  EXPECT_EQ(verdict(config("digits"), "digits"), checkpoint::Verdict::kNo);
  EXPECT_EQ(verdict(config("dinov2-vits14"), "dino"), checkpoint::Verdict::kUnknown) << "a file that is named";
  auto resting = config("digits");
  resting.align.weight = 0;
  EXPECT_EQ(verdict(resting, "resting"), checkpoint::Verdict::kYes);
  train_quietly(resting, folder_ / "digits");
  EXPECT_EQ(checkpoint::audit(checkpoint::parse_info(tensors::read_tensor_header(run("digits").last()), "")).label_free,
            checkpoint::Verdict::kNo)
      << "what once was aligned with labels stays so";
  recipe::AlignOptions published;
  published.extractor = "dinov2-vitl14";
  EXPECT_EQ(checkpoint::alignment_stage(published).label_free, checkpoint::Verdict::kYes);
}

TEST_F(AlignedRun, WhatCannotBeAlignedIsRefused) {
  auto missing = config("dino-vitb16");
  missing.align.weights = (folder_ / "nowhere.pth").string();
  EXPECT_THAT(test::message_of<Error>([&] { train_quietly(missing, folder_ / "run"); }), HasSubstr("nowhere.pth"));
  EXPECT_FALSE(fs::exists(folder_ / "run"));

  data::OpenedData latents;  // of no images
  latents.path = "latents.safetensors";
  EXPECT_THAT(test::message_of<UsageError>([&] { run::alignment_target(config("digits"), latents, at::kCPU); }),
              HasSubstr("align.extractor: latents.safetensors holds latents, and digits looks at images"));

  train_quietly(config("digits"), folder_ / "kept", 3);
  auto other = config("none");
  EXPECT_THAT(test::message_of<UsageError>([&] { train_quietly(other, folder_ / "kept"); }),
              HasSubstr("align.extractor (digits -> none)"));
  auto lighter = config("digits");
  lighter.align.weight = 0;
  EXPECT_TRUE(train_quietly(lighter, folder_ / "kept").finished);
}
