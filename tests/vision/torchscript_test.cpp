#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/vision/feature_extractor.h"
#include "support/python.h"

namespace sdg::vision {
namespace {

// A small module, and another that is asked for features as StyleGAN's Inception is; what torch makes of the images.
constexpr const char* kMake = R"(
import sys, torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
root = sys.argv[1]
torch.manual_seed(3)
class Plain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 5, 3, stride=2)
    def forward(self, x: torch.Tensor):
        return self.conv(x).relu().mean((2, 3))
class Asked(Plain):
    def forward(self, x: torch.Tensor, return_features: bool = False):
        y = self.conv((x - 128) / 128).mean((2, 3))
        return y if return_features else y.softmax(1)
plain, asked = Plain(), Asked()
torch.jit.script(plain).save(root + '/plain.pt')
torch.jit.script(asked).save(root + '/asked.pt')
class Flat(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x.flatten(1)
torch.jit.script(Flat()).save(root + '/flat.pt')
x = load_file(root + '/images.safetensors')['images'].float()
with torch.no_grad():
    save_file({'plain': plain((F.interpolate(x, (16, 16), mode='bilinear') - 127.5) / 64), 'asked': asked(x, True)}, root + '/out.safetensors')
)";

}  // namespace

TEST(TorchScript, AModuleByPathGivesWhatTorchGivesAndItsNameSaysHow) {
  if (const auto lacks = test::python_lacks("torch safetensors"); !lacks.empty()) {
    std::cout << "SKIPPED: " << lacks << std::endl;
    GTEST_SKIP() << lacks;
  }
  const test::TemporaryFolder folder;
  const auto images =
      (rng::uniform({4, rng::Purpose::kTest, 0}, rng::consecutive(0, 3), {3, 20, 24}) * 256).to(at::kByte);
  tensors::TensorFile file;
  file.tensors["images"] = images;
  tensors::write_tensors(folder / "images.safetensors", file);
  const auto made = test::run_python(kMake, {folder.path().string()});
  ASSERT_EQ(made.status, 0) << made.output;
  const auto right = tensors::read_tensors(folder / "out.safetensors");
  const auto plain = make_extractor("torchscript:16,bilinear,127.5,64", (folder / "plain.pt").string(), at::kCPU);
  EXPECT_EQ(plain->dim(), 5);
  EXPECT_EQ(plain->metric_name(), "FD-torchscript:16,bilinear,127.5,64");
  EXPECT_LT((plain->features(images) - right.at("plain")).abs().max().item<double>(), 1e-5);
  const auto asked = make_extractor("torchscript:0,none,0,1", (folder / "asked.pt").string(), at::kCPU);
  EXPECT_LT((asked->features(images) - right.at("asked")).abs().max().item<double>(), 1e-5);
  EXPECT_NE(plain->weights_digest(), asked->weights_digest());
  const auto flat = make_extractor("torchscript:0,none,0,1", (folder / "flat.pt").string(), at::kCPU);
  EXPECT_THAT(test::message_of<Error>([&] { flat->features(images); }),
              ::testing::HasSubstr("flat.pt: the module gives 1440 features of images of 24 x 20 and 12288 of others"));

  EXPECT_THROW(make_extractor("torchscript:16,none,0,1", (folder / "plain.pt").string(), at::kCPU), UsageError);
  EXPECT_THROW(make_extractor("torchscript:16,bilinear,0", (folder / "plain.pt").string(), at::kCPU), UsageError);
  EXPECT_THROW(make_extractor("torchscript:16,bilinear,0,1", "", at::kCPU), UsageError);
  EXPECT_NE(test::message_of<Error>([&] {
              make_extractor("torchscript:16,bilinear,0,1", (folder / "images.safetensors").string(), at::kCPU);
            }).find("is no TorchScript module"),
            std::string::npos);
}

}  // namespace sdg::vision
