// The classifiers that ship: what their files state of them, and a Python twin of each.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "sdg/tensors/tensor_file.h"
#include "sdg/vision/digit_classifier.h"
#include "sdg/vision/mnist_classifier.h"
#include "vision/network_twin.h"

namespace sdg::vision {
namespace {

std::filesystem::path shipped(const std::string& name) {
  return std::filesystem::path(SDG_SOURCE_DIR) / "configs" / name;
}

struct Digits {
  using Net = DigitClassifier;
  static constexpr const char *kTwin = "digits", *kData = "digits.safetensors",
                              *kWeights = "digits_classifier.safetensors";
  static Tensor input(const Tensor& images) { return digit_classifier_input(images); }
};
struct Mnist {
  using Net = MnistClassifier;
  static constexpr const char *kTwin = "mnist", *kData = "mnist5k.safetensors",
                              *kWeights = "mnist_classifier.safetensors";
  static Tensor input(const Tensor& images) { return mnist_classifier_input(images); }
};

template <class Kind>
struct SmallClassifier : testing::Test {
  std::filesystem::path file = shipped(Kind::kWeights);
  tensors::TensorFile weights = tensors::read_tensors(file), data = tensors::read_tensors(shipped(Kind::kData));
  typename Kind::Net net;
  torch::NoGradGuard no_grad;

  SmallClassifier() { net->load_state(weights.tensors, file.string()); }
};

// The split stated in the weights' metadata: of each class, in the file's order, every fifth image is for testing.
std::vector<int64_t> held_out_images(const Tensor& labels) {
  std::map<int64_t, int> seen;
  std::vector<int64_t> out;
  for (int64_t i = 0; i < labels.numel(); ++i)
    if (seen[labels[i].item<int64_t>()]++ % 5 == 4) out.push_back(i);
  return out;
}

using Kinds = testing::Types<Digits, Mnist>;
TYPED_TEST_SUITE(SmallClassifier, Kinds, );

TYPED_TEST(SmallClassifier, ReachesTheStatedTestAccuracy) {
  const auto held_out = held_out_images(this->data.at("labels"));
  ASSERT_EQ(std::to_string(held_out.size()), this->weights.metadata.at("test_images"));
  const Tensor index = at::tensor(held_out, at::kLong);
  const Tensor images = this->data.at("images").index_select(0, index).unsqueeze(1);
  const Tensor right = this->net(TypeParam::input(images)).argmax(1) == this->data.at("labels").index_select(0, index);
  const double accuracy = right.to(at::kDouble).mean().template item<double>();
  EXPECT_NEAR(accuracy, std::stod(this->weights.metadata.at("test_accuracy")), 1e-6);
  EXPECT_GE(accuracy, 0.97);
}

TYPED_TEST(SmallClassifier, FeaturesAreThePythonTwins) {
  if (!test::has_python()) GTEST_SKIP() << "no .venv in the source folder";
  const Tensor images = this->data.at("images").narrow(0, 100, 64).unsqueeze(1);
  const auto twin = test::network_twin(TypeParam::kTwin, this->file, images);
  const Tensor x = TypeParam::input(images);
  EXPECT_LT((this->net->features(x) - twin.at("features")).abs().max().template item<double>(), 1e-5);
  EXPECT_LT((this->net(x) - twin.at("logits")).abs().max().template item<double>(), 1e-4);
}

}  // namespace
}  // namespace sdg::vision
