#include "sdg/vision/feature_extractor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/vision/cifar_resnet.h"
#include "sdg/vision/clip.h"
#include "sdg/vision/inception.h"
#include "sdg/vision/vit.h"
#include "vision/formula_inception.h"
#include "vision/network_twin.h"

namespace sdg::vision {
namespace {
namespace fs = std::filesystem;

// Sets an environment variable for one test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

tensors::TensorFile state_of(const torch::nn::Module& net) {
  tensors::TensorFile file;
  for (const auto& p : net.named_parameters()) file.tensors[p.key()] = p.value().detach();
  for (const auto& b : net.named_buffers()) file.tensors[b.key()] = b.value();
  return file;
}

VitShape tiny_vit() {
  return {.dim = 64, .depth = 1, .heads = 1, .patch = 14, .hidden = 32, .positions = 257};
}

ClipShape tiny_clip() {
  return {.dim = 64, .depth = 1, .heads = 1, .patch = 16, .hidden = 32, .side = 2, .embedding = 8};
}

// Weights that keep the variance; without the logits' layer. The file's name.
std::string write_inception(const test::TemporaryFolder& folder) {
  tensors::TensorFile file{test::formula_inception_weights(*FidInception(), "test:"), {}};
  file.tensors.erase("fc.weight");
  file.tensors.erase("fc.bias");
  tensors::write_tensors(folder / "inception.safetensors", file);
  return (folder / "inception.safetensors").string();
}

Tensor random_images(int64_t n, int64_t channels, int64_t height, int64_t width) {
  return (rng::uniform({4, rng::Purpose::kTest, 0}, rng::consecutive(0, n), {channels, height, width}) * 256)
      .to(at::kByte);
}
}  // namespace

TEST(FeatureExtractor, OnlyInceptionIsCalledFid) {
  const test::TemporaryFolder folder;
  torch::manual_seed(1);
  tensors::write_tensors(folder / "cifar10_resnet20.safetensors", state_of(*CifarResNet(20)));
  tensors::write_tensors(folder / "cifar10_resnet56.safetensors", state_of(*CifarResNet(56)));
  tensors::write_tensors(folder / "inception.safetensors", state_of(*FidInception()));
  const auto vit = state_of(*Vit(tiny_vit()));
  for (const std::string& name : extractor_names())
    if (name.starts_with("dino")) tensors::write_tensors(folder / (name + ".safetensors"), vit);
  const auto clip = state_of(*ClipImageTower(tiny_clip()));
  for (const std::string& name : extractor_names())
    if (name.starts_with("clip")) tensors::write_tensors(folder / (name + ".safetensors"), clip);
  const Variable place("SDG_WEIGHTS", folder.path().string());
  int fids = 0;
  for (const std::string& name : extractor_names()) {
    const auto extractor = make_extractor(name, "", at::kCPU);
    EXPECT_EQ(extractor->name(), name);
    EXPECT_EQ(extractor->metric_name(), name == "inception"       ? "FID"
                                        : name == "inception-tf1" ? "FID-tf1"
                                        : name == "dinov2-vitl14" ? "FD-DINOv2"
                                                                  : "FD-" + name);
    fids += extractor->metric_name() == "FID";
  }
  EXPECT_EQ(fids, 1);
}

TEST(FeatureExtractor, DigitsShipWithTheConfigs) {
  const auto extractor = make_extractor("digits", "", at::kCPU);
  const auto data = tensors::read_tensors(fs::path(SDG_SOURCE_DIR) / "configs" / "digits.safetensors");
  const Tensor features = extractor->features(data.at("images").narrow(0, 0, 1030).unsqueeze(1));
  EXPECT_EQ(features.sizes(), at::IntArrayRef({1030, extractor->dim()}));
  EXPECT_FALSE(features.requires_grad());
  const Tensor alone = extractor->features(data.at("images").narrow(0, 1029, 1).unsqueeze(1));
  EXPECT_LT((features[1029] - alone[0]).abs().max().item<double>(), 1e-5);
}

TEST(FeatureExtractor, NeitherBatchesNorThreadsChangeABit) {
  const test::TemporaryFolder folder;
  torch::manual_seed(2);
  tensors::write_tensors(folder / "r.safetensors", state_of(*CifarResNet(20)));
  tensors::write_tensors(folder / "v.safetensors", state_of(*Vit(tiny_vit())));
  const auto images = random_images(64, 3, 20, 24);
  for (const auto& [name, file] : {std::pair{"cifar-resnet20", "r.safetensors"}, {"dinov2-vits14", "v.safetensors"}}) {
    const auto extractor = make_extractor(name, (folder / file).string(), at::kCPU);
    const auto all = extractor->features(images);
    for (const int64_t batch : {1, 7}) {
      std::vector<Tensor> parts;
      for (const auto& part : images.split(batch)) parts.push_back(extractor->features(part));
      EXPECT_TRUE(at::equal(at::cat(parts), all)) << name << " " << batch;
    }
  }
}

// Inception takes few images at once on each thread; what it takes together must not matter either.
TEST(FeatureExtractor, InceptionsBitsDoNotDependOnWhatItTakesTogether) {
  const test::TemporaryFolder folder;
  const auto file = write_inception(folder);
  const auto images = random_images(6, 3, 32, 32);
  std::vector<Precision> precisions{Precision::kFloat32};
  if (has_native_bf16()) precisions.push_back(Precision::kBf16);
  for (const auto precision : precisions) {
    const auto extractor = make_extractor("inception", file, at::kCPU, {}, precision);
    const auto all = extractor->features(images);
    for (const int64_t batch : {1, 2, 5}) {
      std::vector<Tensor> parts;
      for (const auto& part : images.split(batch)) parts.push_back(extractor->features(part));
      EXPECT_TRUE(at::equal(at::cat(parts), all)) << batch;
    }
  }
}

// Weights of which every one matters: zeros and ones, as networks begin, would hide what is done to them.
tensors::TensorFile drawn_weights(const torch::nn::Module& net) {
  auto file = state_of(net);
  for (auto& [name, tensor] : file.tensors) {
    const bool matrix = tensor.dim() >= 2;
    const auto inputs = matrix ? static_cast<double>(tensor[0].numel()) : 1;
    const auto drawn = at::randn(tensor.sizes());
    tensor = matrix ? drawn / std::sqrt(inputs) : name.ends_with(".weight") ? 1 + 0.1 * drawn : 0.1 * drawn;
  }
  return file;
}

// Whatever is rounded: near float32 and not equal to it, and to statistics another network.
void expect_rounded(const std::string& name, const std::string& file) {
  const auto exact = make_extractor(name, file, at::kCPU);
  const auto rounded = make_extractor(name, file, at::kCPU, {}, Precision::kBf16);
  const auto images = random_images(2, 3, 32, 32);
  const auto a = exact->features(images), b = rounded->features(images);
  const double apart = ((a - b).norm() / a.norm()).item<double>();
  EXPECT_LT(apart, 0.02) << name;
  EXPECT_GT(apart, 1e-5) << name << " was computed in float32 after all";
  EXPECT_EQ(b.scalar_type(), at::kFloat);
  EXPECT_EQ(rounded->weights_digest(), exact->weights_digest() + "-bf16");
  EXPECT_EQ(rounded->precision(), Precision::kBf16);
  EXPECT_TRUE(at::equal(rounded->features(images.narrow(0, 1, 1)), b.narrow(0, 1, 1))) << name;
}

TEST(FeatureExtractor, WhatIsComputedInBf16IsNearFloat32AndAnotherNetworkToStatistics) {
  if (!has_native_bf16()) {
    std::cout << "SKIPPED: this CPU does not multiply bf16 itself" << std::endl;
    GTEST_SKIP() << "no native bf16";
  }
  const test::TemporaryFolder folder;
  const auto inception = write_inception(folder);
  expect_rounded("inception", inception);
  torch::manual_seed(5);
  tensors::write_tensors(folder / "vit.safetensors", drawn_weights(*Vit(tiny_vit())));
  expect_rounded("dinov2-vits14", (folder / "vit.safetensors").string());
  tensors::write_tensors(folder / "clip.safetensors", drawn_weights(*ClipImageTower(tiny_clip())));
  expect_rounded("clip-vitb32", (folder / "clip.safetensors").string());
  const auto message =
      test::message_of<UsageError>([] { make_extractor("digits", "", at::kCPU, {}, Precision::kBf16); });
  EXPECT_NE(message.find("digits is computed in float32"), std::string::npos) << message;
  EXPECT_THROW(make_extractor("inception", inception, at::kCPU, {}, Precision::kTf32), UsageError);
}

// Mixed_6d.branch1x1 is made to say the number of its channel everywhere.
TEST(FeatureExtractor, SpatialFeaturesStandPixelByPixelAsAdmsFilesHoldThem) {
  FidInception net;
  auto weights = test::formula_inception_weights(*net, "test:");
  const std::string branch = "Mixed_6d.branch1x1.";
  weights[branch + "conv.weight"].zero_();
  weights[branch + "bn.running_mean"].zero_();
  weights[branch + "bn.bias"] = at::arange(192, at::kFloat);
  net->load_state(weights, "test");
  torch::NoGradGuard no_grad;
  const Tensor row = net(inception_input_pytorch_fid(random_images(1, 3, 20, 24))).spatial_adm;
  EXPECT_TRUE(at::equal(row, at::arange(7, at::kFloat).repeat({17 * 17}).unsqueeze(0)));
}

TEST(FeatureExtractor, LayersStandSideBySideAndAreNotInvented) {
  const auto digits = make_extractor("digits", "", at::kCPU);
  const auto images = random_images(3, 1, 8, 8);
  const auto both = digits->layers(images, {Layer::kLogits, Layer::kPooled});
  EXPECT_EQ(both.sizes(), at::IntArrayRef({3, 74}));
  EXPECT_TRUE(at::equal(both.slice(1, 10), digits->features(images)));
  EXPECT_EQ(digits->width(Layer::kSpatial), 0);
  EXPECT_THROW(digits->layers(images, {Layer::kSpatial}), Error);
}

TEST(FeatureExtractor, WeightsOfAnotherNetworkAreRefusedByKeyOrShape) {
  const test::TemporaryFolder folder;
  tensors::write_tensors(folder / "r.safetensors", state_of(*CifarResNet(20)));
  const auto file = (folder / "r.safetensors").string();
  EXPECT_NE(test::message_of<Error>([&] { make_extractor("inception", file, at::kCPU); }).find("expected a tensor"),
            std::string::npos);
  EXPECT_NE(
      test::message_of<Error>([&] { make_extractor("cifar-resnet56", file, at::kCPU); }).find("expected a tensor"),
      std::string::npos);
  EXPECT_NE(
      test::message_of<Error>([&] { make_extractor("dinov2-vitl14", file, at::kCPU); }).find("patch_embed.proj.weight"),
      std::string::npos);
  auto wrong = state_of(*CifarResNet(20));
  wrong.tensors["linear.weight"] = at::zeros({9, 64});
  tensors::write_tensors(folder / "w.safetensors", wrong);
  EXPECT_NE(test::message_of<Error>([&] {
              make_extractor("cifar-resnet20", (folder / "w.safetensors").string(), at::kCPU);
            }).find("linear.weight must be [10, 64]"),
            std::string::npos);
}

TEST(FeatureExtractor, GreyAndColourOfTheSamePictureAgree) {
  const Tensor grey = random_images(3, 1, 16, 12);
  const auto digits = make_extractor("digits", "", at::kCPU);
  EXPECT_TRUE(at::equal(digits->features(grey), digits->features(grey.expand({-1, 3, -1, -1}))));
  const test::TemporaryFolder folder;
  tensors::write_tensors(folder / "r.safetensors", state_of(*CifarResNet(20)));
  const auto cifar = make_extractor("cifar-resnet20", (folder / "r.safetensors").string(), at::kCPU);
  EXPECT_TRUE(at::equal(cifar->features(grey), cifar->features(grey.expand({-1, 3, -1, -1}))));
}

TEST(FeatureExtractor, InceptionTakesPytorchFidsFrontEndAndLastPool) {
  const test::TemporaryFolder folder;
  FidInception net;
  tensors::TensorFile file{test::formula_inception_weights(*net, "test:"), {}};
  net->load_state(file.tensors, "test");
  file.tensors.erase("fc.weight");  // a file without the logits' layer is enough
  file.tensors.erase("fc.bias");
  tensors::write_tensors(folder / "w.safetensors", file);
  const auto extractor = make_extractor("inception", (folder / "w.safetensors").string(), at::kCPU);
  const Tensor images = random_images(1, 3, 20, 24);
  torch::NoGradGuard no_grad;
  const auto expected = net(inception_input_pytorch_fid(images));  // with its batch norms, the extractor's are folded
  EXPECT_LT((extractor->features(images) - expected.f2048).abs().max().item<double>(), 1e-5);
  EXPECT_LT((extractor->layers(images, {Layer::kSpatial}) - expected.spatial_adm).abs().max().item<double>(), 1e-4);
  EXPECT_LT((extractor->layers(images, {Layer::kSpatialBlock}) - expected.spatial).abs().max().item<double>(), 1e-4);
  EXPECT_EQ(extractor->width(Layer::kLogits), 0) << "the file has none";
  const auto tf1 = make_extractor("inception-tf1", (folder / "w.safetensors").string(), at::kCPU);
  EXPECT_LT((tf1->features(images) - net(inception_input_tf1(images)).f2048).abs().max().item<double>(), 1e-5);
  EXPECT_EQ(tf1->weights_digest(), extractor->weights_digest());
}

TEST(FeatureExtractor, MissingWeightsSayWhatToDownloadAndWhereToPutIt) {
  const test::TemporaryFolder folder;
  const Variable place("SDG_WEIGHTS", ""), home("HOME", folder.path().string());
  const std::string message = test::message_of<Error>([] { make_extractor("inception", "", at::kCPU); });
  EXPECT_NE(message.find("/pt_inception-2015-12-05-6726825d.pth"), std::string::npos) << message;
  EXPECT_NE(message.find((folder / ".cache/sdg/pt_inception-2015-12-05-6726825d.pth").string()), std::string::npos)
      << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(FeatureExtractor, FilesAreTakenAsTheirAuthorsPublishedThem) {
  const auto shared = fs::path(SDG_SOURCE_DIR) / ".." / "shared" / "weights";
  if (!fs::exists(shared)) {
    std::cout << "SKIPPED: no ../shared/weights beside the source folder" << std::endl;
    GTEST_SKIP() << "no ../shared/weights";
  }
  const test::TemporaryFolder folder;
  const Variable place("SDG_WEIGHTS", ""), home("HOME", folder.path().string());
  fs::create_directories(folder / ".cache/sdg");
  fs::copy_file(shared / "cifar10_resnet20.legacy.th", folder / ".cache/sdg/resnet20-12fca82f.th");
  const auto images = random_images(4, 3, 32, 32);
  const auto legacy = make_extractor("cifar-resnet20", "", at::kCPU)->features(images);
  const auto converted = make_extractor("cifar-resnet20", (shared / "cifar10_resnet20.safetensors").string(), at::kCPU);
  EXPECT_TRUE(at::equal(legacy, converted->features(images)));
}

TEST(FeatureExtractor, UnknownNamesAndWrongImagesAreRefused) {
  const std::string message = test::message_of<UsageError>([] { make_extractor("vgg", "", at::kCPU); });
  EXPECT_EQ(
      message,
      "extractor must be one of inception, inception-tf1, cifar-resnet20, cifar-resnet56, dino-vits16, dino-vits8, "
      "dino-vitb16, "
      "dinov2-vits14, dinov2-vitb14, dinov2-vitl14, dinov2-vitl14-reg, clip-vitb32, clip-vitb16, clip-vitl14, digits, "
      "mnist, torchscript:SIZE,RESIZE,MEAN,DEVIATION; got vgg");
  EXPECT_THROW(make_extractor("digits", "no_such_file.safetensors", at::kCPU), Error);
  const auto digits = make_extractor("digits", "", at::kCPU);
  EXPECT_THROW(digits->features(at::zeros({2, 1, 8, 8})), Error);             // not uint8
  EXPECT_THROW(digits->features(at::zeros({2, 2, 8, 8}, at::kByte)), Error);  // two channels
}
}  // namespace sdg::vision
