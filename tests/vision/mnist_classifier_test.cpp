#include "sdg/vision/mnist_classifier.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "sdg/tensors/tensor_file.h"
#include "vision/network_twin.h"

namespace sdg::vision {
namespace {
namespace fs = std::filesystem;
fs::path shipped() {
  return fs::path(SDG_SOURCE_DIR) / "configs";
}
fs::path mnist_weights() {
  return shipped() / "mnist_classifier.safetensors";
}

// The split stated in the weights' metadata: of each class, in the file's order, every fifth image is for testing.
std::vector<int64_t> held_out_images(const Tensor& labels) {
  std::map<int64_t, int> seen;
  std::vector<int64_t> out;
  for (int64_t i = 0; i < labels.numel(); ++i) {
    if (seen[labels[i].item<int64_t>()]++ % 5 == 4) out.push_back(i);
  }
  return out;
}
}  // namespace

TEST(MnistClassifier, ReachesTheStatedTestAccuracy) {
  torch::NoGradGuard no_grad;
  const auto weights = tensors::read_tensors(mnist_weights());
  const auto data = tensors::read_tensors(shipped() / "mnist5k.safetensors");
  MnistClassifier net;
  net->load_state(weights.tensors, mnist_weights().string());
  const auto held_out = held_out_images(data.at("labels"));
  ASSERT_EQ(std::to_string(held_out.size()), weights.metadata.at("test_images"));
  const Tensor index = at::tensor(held_out, at::kLong);
  const Tensor images = data.at("images").index_select(0, index).unsqueeze(1),
               labels = data.at("labels").index_select(0, index);
  const double accuracy =
      (net(mnist_classifier_input(images)).argmax(1) == labels).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(accuracy, std::stod(weights.metadata.at("test_accuracy")), 1e-6);
  EXPECT_GE(accuracy, 0.97);
}

TEST(MnistClassifier, FeaturesAreThePythonTwins) {
  if (!test::has_python()) GTEST_SKIP() << "no .venv in the source folder";
  torch::NoGradGuard no_grad;
  MnistClassifier net;
  net->load_state(tensors::read_tensors(mnist_weights()).tensors, mnist_weights().string());
  const Tensor images =
      tensors::read_tensors(shipped() / "mnist5k.safetensors").at("images").narrow(0, 100, 64).unsqueeze(1);
  const auto twin = test::network_twin("mnist", mnist_weights(), images);
  const Tensor x = mnist_classifier_input(images);
  EXPECT_LT((net->features(x) - twin.at("features")).abs().max().item<double>(), 1e-5);
  EXPECT_LT((net(x) - twin.at("logits")).abs().max().item<double>(), 1e-4);
}
}  // namespace sdg::vision
