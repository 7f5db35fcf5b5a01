// eval, compare and ref-stats on images that are there: every value against NumPy, SciPy and scikit-learn on features
// that torch computes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/random_resnet.h"
#include "cli/tiny_program.h"
#include "sdg/image/image.h"
#include "support/python.h"

using namespace sdg;
using nlohmann::json;
using test::expect_failure;
using test::write_resnet;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

constexpr const char* kMakeAndJudge = R"(
import json, sys
import numpy as np, scipy.linalg, torch
from safetensors.torch import load_file, save_file
from sklearn.metrics import pairwise_distances
from sklearn.metrics.pairwise import polynomial_kernel
sys.path.insert(0, sys.argv[2])
import network_twin
root, rng = sys.argv[1], np.random.default_rng(3)
weights = load_file(root + '/r.safetensors')
sets, f, logits = {}, {}, {}
for name, n, lift in (('a', 150, 0), ('b', 160, 25)):
    small = rng.integers(0, 200, (n, 3, 8, 8)) + lift
    sets[name] = torch.from_numpy(small.astype(np.uint8)).repeat_interleave(4, 2).repeat_interleave(4, 3).contiguous()
    save_file({'images': sets[name]}, f'{root}/{name}.safetensors')
    with torch.no_grad():
        out = network_twin.cifar(weights, sets[name])
    f[name], logits[name] = (x.double().numpy() for x in out)
a, b = f['a'], f['b']  # generated, real

def distance(f, g):
    s, t = np.cov(f, rowvar=False), np.cov(g, rowvar=False)
    root = scipy.linalg.sqrtm(s @ t)
    return float(((f.mean(0) - g.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * np.trace(root).real)

def prdc(real, fake, k, closed):
    radii = [np.partition(pairwise_distances(x), k, 1)[:, k] for x in (real, fake)]
    across = pairwise_distances(real, fake)
    less = np.less_equal if closed else np.less
    in_real, in_fake = less(across, radii[0][:, None]), less(across, radii[1][None])
    return [in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum(0).mean() / k, in_real.any(1).mean()]

def kid(x, y):
    n, m = len(x), len(y)
    xx, yy, xy = (polynomial_kernel(p, q, degree=3, gamma=1 / x.shape[1], coef0=1) for p, q in ((x, x), (y, y), (x, y)))
    return (xx.sum() - np.trace(xx)) / n / (n - 1) + (yy.sum() - np.trace(yy)) / m / (m - 1) - 2 * xy.mean()

p = np.exp(logits['a'] - scipy.special.logsumexp(logits['a'], 1, keepdims=True))
score = np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean())
np.savez(root + '/foreign.npz', mu=b.mean(0), sigma=np.cov(b, rowvar=False))
torch.save({'mu': b.mean(0), 'sigma': np.cov(b, rowvar=False)}, root + '/fidelity.pt')
closed, opened = prdc(b, a, 3, True), prdc(b, a, 5, False)
json.dump({'FD': distance(a, b), 'precision': closed[0], 'recall': closed[1], 'density': opened[2], 'coverage': opened[3],
           'IS': score, 'KD': kid(b, a)}, open(root + '/right.json', 'w'))
)";

const std::string kExtractor = " --extractor cifar-resnet20 --extractor-weights r.safetensors ";

class Evaluating : public test::Program {
 protected:
  void SetUp() override {
    SDG_NEEDS_PYTHON("numpy scipy torch sklearn safetensors");
    write_resnet(folder_ / "r.safetensors", 1);
    const auto made = test::run_python(kMakeAndJudge, {folder_.path().string(), SDG_SOURCE_DIR "/tests/vision"});
    ASSERT_EQ(made.status, 0) << made.output;
    right_ = json::parse(test::read_text(folder_ / "right.json"));
  }
  json eval(const std::string& arguments, const std::string& before = "") const {
    const auto result = sdg("eval --device cpu --json" + kExtractor + arguments, before);
    EXPECT_EQ(result.code, 0) << arguments << "\n" << result.err;
    return result.code == 0 ? json::parse(result.out) : json();
  }
  static double value(const json& result, const std::string& name) {
    return result.at("metrics").at(name + "-cifar-resnet20").at("value").get<double>();
  }
  json right_;
};

}  // namespace

TEST_F(Evaluating, EveryValueIsThatOfNumpyScipyAndScikitLearn) {
  const auto found = eval("--images a.safetensors --reference b.safetensors --metrics fid,is,prdc --splits 1");
  EXPECT_EQ(found.at("metrics").size(), 6U);
  for (const std::string name : {"FD", "IS"})
    EXPECT_NEAR(value(found, name) / right_.at(name).get<double>(), 1, 1e-5) << name;
  for (const std::string name : {"precision", "recall", "density", "coverage"})
    EXPECT_NEAR(value(found, name), right_.at(name).get<double>(), 1e-4) << name;
  // The mean over subsets is that of all images of either side, whose estimate has no bias.
  const auto kid = eval("--images a.safetensors --reference b.safetensors --metrics kid --subsets 400");
  const auto& row = kid.at("metrics").at("KD-cifar-resnet20");
  EXPECT_EQ(row.at("subset_size"), 150);
  const auto deviation = row.at("deviation").get<double>();
  EXPECT_GT(deviation, 0);
  EXPECT_LT(deviation, 0.2 * right_.at("KD").get<double>());
  EXPECT_NEAR(row.at("value").get<double>(), right_.at("KD").get<double>(), 4 * deviation / 20);
}

TEST_F(Evaluating, ThreadsAndOrderOfBatchesChangeNoDigit) {
  const std::string arguments = "--images a.safetensors --reference b.safetensors --metrics all --resamples 10";
  const auto one = eval(arguments, "OMP_NUM_THREADS=1");
  EXPECT_EQ(one.at("metrics").size(), 10U);
  for (const std::string threads : {"2", "3"}) EXPECT_EQ(eval(arguments, "OMP_NUM_THREADS=" + threads), one) << threads;
}

TEST_F(Evaluating, TwoProcessesGiveTheNumbersOfOne) {
  const std::string arguments = "eval --device cpu --json" + kExtractor +
                                "--images a.safetensors --reference b.safetensors --metrics all --resamples 10";
  const auto one = sdg(arguments), two = sdg("launch -n 2 " + arguments);
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_EQ(json::parse(two.out), json::parse(one.out));
}

TEST_F(Evaluating, OneSetAgainstItselfIsNothingApartAndAllCopies) {
  const auto found = eval("--images a.safetensors --reference a.safetensors --metrics fid,pr,memorised,kid");
  EXPECT_LT(value(found, "FD"), 1e-9);
  EXPECT_EQ(value(found, "precision"), 1);
  EXPECT_EQ(value(found, "recall"), 1);
  EXPECT_EQ(found.at("metrics").at("memorised-cifar-resnet20").at("copies"), 150);
}

TEST_F(Evaluating, StatisticsGiveDistancesAndWhatTheyCannotGiveIsRefusedInOneLine) {
  const auto right = right_.at("FD").get<double>();
  for (const std::string file : {"foreign.npz", "fidelity.pt"})
    EXPECT_NEAR(value(eval("--images a.safetensors --reference " + file), "FD") / right, 1, 1e-5) << file;
  const auto limit = eval("--images a.safetensors --reference foreign.npz --metrics fid-infinity");
  EXPECT_TRUE(limit.at("metrics").contains("FD-cifar-resnet20-infinity")) << limit;
  expect_failure(sdg("eval --images a.safetensors --reference foreign.npz --metrics fid,kid" + kExtractor), 2,
                 "foreign.npz: kid compares images one by one, and this file holds the statistics of many");
  expect_failure(sdg("eval --images foreign.npz --reference a.safetensors --metrics is" + kExtractor), 2,
                 "foreign.npz: is compares images one by one");
  expect_failure(sdg("eval --images a.safetensors --reference foreign.npz --metrics sfid" + kExtractor), 2,
                 "sfid needs a layer that cifar-resnet20");
  expect_failure(sdg("eval --images a.safetensors --reference foreign.npz --metrics fud" + kExtractor), 2,
                 "got \"fud\"");
}

TEST_F(Evaluating, ResultsOfOneProtocolCompareAndOthersAreRefusedOrMarked) {
  const std::string base = "eval --device cpu" + kExtractor + "--reference b.safetensors ";
  ASSERT_EQ(sdg(base + "--images a.safetensors --save a.json").code, 0);
  ASSERT_EQ(sdg(base + "--images a.safetensors --metrics fid,pr --save again.json").code, 0);
  ASSERT_EQ(sdg(base + "--images b.safetensors --save b.json").code, 0);
  const auto same = sdg("compare a.json again.json");
  ASSERT_EQ(same.code, 0) << same.err;
  EXPECT_THAT(same.out, HasSubstr("| a.json |"));
  EXPECT_THAT(same.out, HasSubstr("| again.json |"));
  expect_failure(sdg("compare a.json b.json"), 2,
                 "b.json: made by another protocol than a.json: count 150 against 160");
  const auto forced = sdg("compare a.json b.json --force");
  ASSERT_EQ(forced.code, 0) << forced.err;
  EXPECT_THAT(forced.out, HasSubstr("(other)"));
  EXPECT_THAT(forced.out, HasSubstr("b.json: other protocol: count 150 against 160"));
  auto changed = json::parse(test::read_text(folder_ / "b.json"));
  changed["protocol"]["count"] = "150";
  test::write_text(folder_ / "changed.json", changed.dump());
  expect_failure(sdg("compare a.json changed.json"), 1, "changed.json: its protocol was changed");
  test::write_text(folder_ / "other.json", "{\"x\": 1}");
  expect_failure(sdg("compare other.json"), 1, "other.json: expected a result of sdg eval");
}

TEST_F(Evaluating, ReferenceStatisticsAreMadeOnceAndAreTheReference) {
  const std::string command = "ref-stats b.safetensors --device cpu --cache kept" + kExtractor;
  const auto first = sdg(command);
  ASSERT_EQ(first.code, 0) << first.err;
  const auto path = first.out.substr(0, first.out.size() - 1);
  EXPECT_NEAR(value(eval("--images a.safetensors --reference " + path), "FD"),
              value(eval("--images a.safetensors --reference b.safetensors"), "FD"), 1e-9);
  const auto again = sdg(command);
  EXPECT_EQ(again.out, first.out);
  EXPECT_THAT(again.err, HasSubstr("there already"));
  EXPECT_NE(sdg("ref-stats a.safetensors --device cpu --cache kept" + kExtractor).out, first.out);
  const auto numpy = test::run_python(
      "import sys, numpy as np\nf = np.load(sys.argv[1])\n"
      "assert f['mu'].shape == (64,) and f['sigma'].dtype == np.float64\n",
      {(folder_ / path).string()});
  EXPECT_EQ(numpy.status, 0) << numpy.output;
  expect_failure(sdg("ref-stats " + path + kExtractor), 2, "holds statistics already");
}

TEST_F(Evaluating, StoredFeaturesGiveEveryMetricThatImagesGive) {
  for (const std::string name : {"a", "b"})
    ASSERT_EQ(sdg("ref-stats " + name + ".safetensors --rows --device cpu --out " + name + ".npz" + kExtractor).code,
              0);
  const std::string metrics = " --metrics all --resamples 10";
  const auto images = eval("--images a.safetensors --reference b.safetensors" + metrics).at("metrics");
  for (const std::string sides : {"--images a.npz --reference b.npz", "--images a.safetensors --reference b.npz"}) {
    const auto stored = eval(sides + metrics).at("metrics");
    ASSERT_EQ(stored.size(), images.size()) << sides;
    for (const auto& [name, score] : images.items())
      EXPECT_NEAR(stored.at(name).at("value").get<double>(), score.at("value").get<double>(),
                  1e-9 * std::abs(score.at("value").get<double>()) + 1e-12)
          << name << " of " << sides;
  }
  // Others do not say how many images there were; and files can hold what does not belong together.
  const auto numpy = test::run_python(
      "import sys, numpy as np\n"
      "z = dict(np.load(sys.argv[1] + '/b.npz'))\n"
      "few = {k: z[k] for k in ('features', 'mu', 'sigma')}\n"
      "np.savez(sys.argv[1] + '/few.npz', **few)\n"
      "np.savez(sys.argv[1] + '/wrong.npz', **(few | {'mu': few['mu'] + 1}))\n",
      {folder_.path().string()});
  ASSERT_EQ(numpy.status, 0) << numpy.output;
  EXPECT_EQ(value(eval("--images a.npz --reference few.npz --metrics fid,pr"), "precision"),
            value(eval("--images a.npz --reference b.npz --metrics fid,pr"), "precision"));
  expect_failure(sdg("eval --device cpu --images a.npz --reference wrong.npz --metrics fid,pr" + kExtractor), 1,
                 "its mu is not the mean of its features");
  // A uniform sample of the rows, the same as of images.
  EXPECT_EQ(value(eval("--images a.npz --reference b.npz --metrics pr --keep 50"), "precision"),
            value(eval("--images a.safetensors --reference b.safetensors --metrics pr --keep 50"), "precision"));
}

TEST_F(Evaluating, TooFewImagesAreSaidOrRefused) {
  const auto few =
      sdg("eval --device cpu --images a.safetensors --reference b.safetensors --reference-count 40" + kExtractor);
  EXPECT_EQ(few.code, 0);
  EXPECT_THAT(few.err, HasSubstr("40 images for 64 features"));
  expect_failure(
      sdg("eval --device cpu --images a.safetensors --reference b.safetensors --reference-count 1" + kExtractor), 1,
      "at least 2 samples, got 1");
  expect_failure(
      sdg("eval --device cpu --images a.safetensors --reference b.safetensors --reference-count 3 --metrics pr" +
          kExtractor),
      1, "k = 3 needs more than 3 images on either side");
  std::filesystem::create_directory(folder_ / "empty");
  for (const std::string images : {"empty", "nowhere"}) {
    const auto refused = sdg("eval --images " + images + " --reference b.safetensors" + kExtractor);
    EXPECT_EQ(refused.code, 1) << images;
    EXPECT_THAT(refused.err, HasSubstr(images));
    EXPECT_THAT(refused.err, Not(HasSubstr("img/s"))) << "said before the reference was looked at";
  }
  image::write_png(folder_ / "empty" / "only.png", at::zeros({3, 8, 8}, at::kByte));
  expect_failure(sdg("eval --images empty --reference b.safetensors" + kExtractor), 1,
                 "empty: holds one image; a covariance of features needs at least 2");
}

TEST_F(Evaluating, ARunIsDrawnFromAsItIsMeasured) {
  train_run();
  const auto found = sdg("eval --run run --count 100 --metrics fid,kid --json");
  ASSERT_EQ(found.code, 0) << found.err;
  const auto result = json::parse(found.out);
  const auto fid = json::parse(sdg("eval-fid --run run --count 100 --json").out);
  EXPECT_EQ(result.at("metrics").at("FD-digits").at("value"), fid.at("value"));
  EXPECT_EQ(result.at("protocol").at("sample.steps"), "2");
  EXPECT_EQ(result.at("protocol").at("count"), "100");
  EXPECT_FALSE(result.at("protocol").contains("sample.seed"));
}
