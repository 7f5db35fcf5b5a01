// eval-fid on images that are there: folders, tars, npz and safetensors files against Pillow, torch and SciPy.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/random_resnet.h"
#include "cli/tiny_program.h"
#include "sdg/tensors/npz.h"
#include "support/python.h"

using namespace sdg;
using nlohmann::json;
using test::expect_failure;
using test::write_resnet;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

// Images a and b of 32 x 32, `mixed` of many sizes, some of them grey, in every format, and SciPy's distances to b in
// features that torch computes one image at a time.
constexpr const char* kMakeAndJudge = R"(
import io, json, os, sys, tarfile
import numpy as np, scipy.linalg, torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
sys.path.insert(0, sys.argv[2])
import network_twin
root, rng = sys.argv[1], np.random.default_rng(3)
weights = load_file(root + '/r.safetensors')

def picture(h, w, c, lift):
    small = rng.integers(0, 200, (max(2, h // 4), max(2, w // 4), 3)) + lift
    image = Image.fromarray(small.astype(np.uint8)).resize((w, h), Image.BICUBIC)
    return np.asarray(image.convert('L') if c == 1 else image)

def feature(image):
    x = torch.from_numpy(image.copy()).float()
    x = x[None, None].expand(1, 3, -1, -1) if x.dim() == 2 else x.permute(2, 0, 1)[None]
    if x.shape[2:] != (32, 32):
        x = F.interpolate(x, (32, 32), mode='bilinear', antialias=True, align_corners=False)
    return network_twin.cifar(weights, x)[0][0].double().numpy()

def distance(images, others):
    f, g = (np.stack([feature(i) for i in each]) for each in (images, others))
    s, t = np.cov(f, rowvar=False), np.cov(g, rowvar=False)
    root = scipy.linalg.sqrtm(s @ t)
    return float(((f.mean(0) - g.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * np.trace(root).real)

with torch.no_grad():
    sets = {
        'a': [picture(32, 32, 3, 0) for _ in range(150)],
        'b': [picture(32, 32, 3, 50) for _ in range(150)],
        'mixed': [picture(*rng.integers(20, 70, 2), 1 + 2 * (i % 3 > 0), 20) for i in range(150)],
    }
    for name, images in sets.items():
        os.mkdir(f'{root}/{name}')
        for i, image in enumerate(images):
            Image.fromarray(image).save(f'{root}/{name}/{i:04d}.png')
        with tarfile.open(f'{root}/{name}.tar', 'w') as tar:
            tar.add(f'{root}/{name}', name)
        if name != 'mixed':
            stack = np.stack(images)
            np.savez(f'{root}/{name}.npz', arr_0=stack)
            save_file({'images': torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous()}, f'{root}/{name}.safetensors')
    b = np.stack([feature(i) for i in sets['b']])
    np.savez(f'{root}/foreign.npz', mu=b.mean(0), sigma=np.cov(b, rowvar=False))
    np.savez(f'{root}/nan.npz', mu=b.mean(0) * np.nan, sigma=np.cov(b, rowvar=False))
    np.savez(f'{root}/wide.npz', mu=np.zeros(2048), sigma=np.eye(2048))
    json.dump({name: distance(sets[name], sets['b']) for name in ('a', 'mixed')}, open(root + '/right.json', 'w'))
)";

class Measuring : public test::Program {
 protected:
  void SetUp() override {
    SDG_NEEDS_PYTHON("numpy scipy torch PIL safetensors");
    write_resnet(folder_ / "r.safetensors", 1);
    const auto made = test::run_python(kMakeAndJudge, {folder_.path().string(), SDG_SOURCE_DIR "/tests/vision"});
    ASSERT_EQ(made.status, 0) << made.output;
    right_ = json::parse(test::read_text(folder_ / "right.json"));
  }
  test::Outcome eval(const std::string& arguments) const {
    return sdg("eval-fid --device cpu --json --extractor cifar-resnet20 --extractor-weights r.safetensors " +
               arguments);
  }
  json row(const std::string& arguments) const {
    const auto result = eval(arguments);
    EXPECT_EQ(result.code, 0) << arguments << "\n" << result.err;
    return result.code == 0 ? json::parse(result.out) : json();
  }
  void expect_value(const std::string& arguments, double right) const {
    const auto found = row(arguments);
    ASSERT_TRUE(found.contains("value"));
    EXPECT_NEAR(found.at("value").get<double>(), right, 1e-6 * right) << arguments;
  }
  json right_;
};

}  // namespace

TEST_F(Measuring, FoldersTarsNpzAndTensorsOfTheSameImagesGiveScipysNumber) {
  const double right = right_.at("a");
  ASSERT_GT(right, 0);
  for (const std::string images : {"a", "a.tar", "a.npz", "a.safetensors"}) {
    expect_value("--images " + images + " --reference b", right);
    EXPECT_LT(row("--images " + images + " --reference a.npz").at("value").get<double>(), 1e-6 * right) << images;
  }
  for (const std::string reference : {"b.tar", "b.npz", "b.safetensors"})
    expect_value("--images a --reference " + reference, right);
}

TEST_F(Measuring, ImagesOfManySizesAreEachResizedByTheExtractor) {
  for (const std::string images : {"mixed", "mixed.tar"})
    expect_value("--images " + images + " --reference b", right_.at("mixed"));
  const auto found = row("--images mixed --reference b");
  EXPECT_EQ(found.at("size"), "mixed");
  EXPECT_EQ(found.at("reference_size"), "32x32");
  EXPECT_EQ(row("--images mixed --reference b --size 16").at("size"), "16x16");
}

TEST_F(Measuring, APartOfAReferenceIsTheSameInEveryFormat) {
  const auto part = row("--images a --reference b --reference-count 100");
  EXPECT_EQ(part.at("reference_count"), 100);
  for (const std::string reference : {"b.npz", "b.safetensors", "b.tar"})
    expect_value("--images a --reference-count 100 --reference " + reference, part.at("value"));
}

TEST_F(Measuring, StatisticsAreTakenOnlyForWhatTheyWereMadeWith) {
  const double right = right_.at("a");
  ASSERT_EQ(row("--images b --reference a --save-statistics b-stats.npz").at("count"), 150);
  expect_value("--images a --reference b-stats.npz", right);
  EXPECT_EQ(row("--images a --reference b-stats.npz").at("reference_count"), 150);
  EXPECT_EQ(row("--images b-stats.npz --reference a").at("count"), 150);
  const auto numpy = test::run_python(
      "import sys, numpy as np\n"
      "f = np.load(sys.argv[1])\n"
      "assert f['mu'].shape == (64,) and f['sigma'].shape == (64, 64) and f['count'] == 150\n"
      "assert f['extractor'].tobytes() == b'cifar-resnet20' and f['size'].tobytes() == b'32x32', f['size']\n",
      {(folder_ / "b-stats.npz").string()});
  EXPECT_EQ(numpy.status, 0) << numpy.output;

  write_resnet(folder_ / "other.safetensors", 2);
  expect_failure(sdg("eval-fid --images a --reference b-stats.npz --extractor cifar-resnet20 "
                     "--extractor-weights other.safetensors"),
                 1, "b-stats.npz: these statistics were made with other weights");
  expect_failure(sdg("eval-fid --images a --reference b-stats.npz --extractor digits"), 1,
                 "b-stats.npz: these statistics are of features of cifar-resnet20");
  expect_failure(eval("--images a --size 16 --reference b-stats.npz"), 1, "images of size 16x16 against");
  expect_failure(eval("--images a --reference b-stats.npz --reference-count 10"), 2, "--reference-count");
}

TEST_F(Measuring, StatisticsOfOthersAreTakenAndWhatTheyDoNotSayIsSaid) {
  const auto result = eval("--images a --reference foreign.npz");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("do not say which network made them nor of how many images"));
  const auto found = json::parse(result.out);
  EXPECT_NEAR(found.at("value").get<double>(), right_.at("a").get<double>(), 1e-6 * right_.at("a").get<double>());
  EXPECT_TRUE(found.at("reference_count").is_null());
  const auto told =
      sdg("eval-fid --images foreign.npz --reference b --extractor cifar-resnet20 --extractor-weights "
          "r.safetensors");
  EXPECT_THAT(told.out, HasSubstr("an unknown number of images"));
  EXPECT_THAT(told.out, Not(HasSubstr("(0 images")));
  expect_failure(eval("--images a --reference nan.npz"), 1, "nan.npz: the Gaussian must be finite");
  expect_failure(eval("--images a --reference wide.npz"), 1, "wide.npz: these statistics have 2048 features");
}

TEST_F(Measuring, ABrokenImageIsNamedAndNotReplaced) {
  std::filesystem::resize_file(folder_ / "a/0007.png", 60);
  expect_failure(eval("--images a --reference b"), 1, "a/0007.png");
}

TEST_F(Measuring, ARunBesideImagesIsWhatTheyAreComparedWith) {
  train_run();
  ASSERT_EQ(sdg("sample --run run --count 100 --out drawn").code, 0);
  const auto drawn = sdg("eval-fid --run run --count 100 --json");
  const auto from_folder = sdg("eval-fid --run run --images drawn --json");
  ASSERT_EQ(from_folder.code, 0) << from_folder.err;
  const auto a = json::parse(drawn.out), b = json::parse(from_folder.out);
  EXPECT_NEAR(a.at("value").get<double>(), b.at("value").get<double>(), 1e-6 * a.at("value").get<double>());
  EXPECT_EQ(b.at("count"), 100);
  EXPECT_EQ(b.at("reference_count"), 1797);
  EXPECT_EQ(b.at("extractor"), "digits");
  expect_failure(sdg("eval-fid --run nowhere --images drawn"), 2, "nowhere");
  expect_failure(sdg("eval-fid --images drawn"), 2, "--reference");
}
