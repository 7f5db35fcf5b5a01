#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "cludi/planted.h"
#include "sdg/tensors/tensor_file.h"

using namespace sdg;
using test::expect_failure;
using test::kTiny;
using test::Program;
using ::testing::HasSubstr;

namespace {

const std::string kQuick = "--config quick.yaml ";
constexpr const char* kQuickOptions = R"(cludi:
  train: {epochs: 2, batch: 1000, copies: 2, steps: 2}
  answer: {steps: 2, draws: 2}
sinkhorn: {epochs: 2}
kmeans: {restarts: 1}
)";

class Cluster : public Program {
 protected:
  // Of the shipped digits, 1,797 of them: every method can be trained on in a second.
  void SetUp() override {
    test::write_text(folder_ / "quick.yaml", kQuickOptions);
    const auto images = tensors::read_tensors(SDG_SOURCE_DIR "/configs/digits.safetensors");
    tensors::TensorFile file;
    file.tensors["features"] = images.at("images").flatten(1).to(at::kFloat).div(16).contiguous();
    file.tensors["labels"] = images.at("labels");
    tensors::write_tensors(folder_ / "features.safetensors", file);
  }
  nlohmann::json cluster(const std::string& arguments) const {
    const auto result = sdg("cluster --json --features features.safetensors " + kQuick + arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.code == 0 ? nlohmann::json::parse(result.out) : nlohmann::json();
  }
  void refused(const std::string& arguments, int code, const std::string& what) const {
    const bool stored = arguments.find("--from") != std::string::npos;  // options are in that file
    expect_failure(sdg("cluster " + (stored ? "" : kQuick) + arguments), code, what);
  }
};

}  // namespace

TEST_F(Cluster, EveryMethodAnswersInOneFormatThatIsTabulated) {
  std::string files;
  for (const std::string method : {"kmeans", "sinkhorn", "cludi"}) {
    const auto row = cluster("--clusters 10 --method " + method + " --out " + method + ".safetensors");
    EXPECT_EQ(row.at("method"), method);
    EXPECT_EQ(row.at("rows"), 1797);
    const auto file = tensors::read_tensors(folder_ / (method + ".safetensors"));
    EXPECT_EQ(file.at("ids").sizes(), (Shape{1797}));
    EXPECT_EQ(file.at("probabilities").sizes(), (Shape{1797, 10}));
    EXPECT_EQ(file.at("prototypes").size(0), 10);
    EXPECT_EQ(file.at("embeddings").sizes(), (Shape{1797, file.at("prototypes").size(1)}));
    EXPECT_LT((file.at("probabilities").sum(1) - 1).abs().max().item<double>(), 1e-5);
    EXPECT_EQ(file.metadata.at("clusters"), "10");
    files += method + ".safetensors ";
  }
  const auto table = sdg("eval-clusters --json --labels features.safetensors --files " + files);
  ASSERT_EQ(table.code, 0) << table.err;
  const auto rows = nlohmann::json::parse(table.out);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].at("method"), "kmeans");
  EXPECT_GT(rows[0].at("nmi").get<double>(), 0.6);  // k-means of digits; 0.01 is chance
  EXPECT_THAT(sdg("eval-clusters --labels features.safetensors --files " + files).out, HasSubstr("cludi.safetensors"));
}

TEST_F(Cluster, ClustersOfCludiGuideATraining) {
  cluster("--clusters 10 --method cludi --export ids --out ids.safetensors");
  const auto trained =
      sdg("train --run guided " + kTiny + "--set condition.source=file --set condition.file=ids.safetensors");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(sdg("audit guided").out, HasSubstr("ids.safetensors"));
  EXPECT_EQ(sdg("sample --run guided --cluster 3 --guidance 2 --count 4 --out drawn").code, 0);
}

TEST_F(Cluster, CentroidsAreMeanEmbeddingsOfTheLengthOfTokens) {
  cluster("--clusters 10 --method sinkhorn --out c.safetensors");
  const auto file = tensors::read_tensors(folder_ / "c.safetensors");
  const auto &ids = file.at("ids"), &rows = file.at("embeddings");
  int64_t with_rows = 0;
  for (int64_t k = 0; k < 10; ++k) {
    const auto own = rows.index_select(0, ids.eq(k).nonzero().squeeze(1));
    with_rows += own.size(0) > 0 ? 1 : 0;
    const auto mean = (own.size(0) > 0 ? own.to(at::kDouble).mean(0) : file.at("prototypes")[k].to(at::kDouble));
    const auto expected = mean / mean.norm() * std::sqrt(static_cast<double>(rows.size(1)));
    EXPECT_LT((file.at("centroids")[k] - expected).abs().max().item<double>(), 1e-5) << k;
  }
  EXPECT_GT(with_rows, 2);
}

TEST_F(Cluster, GoesOnWhereItStoppedBitForBit) {
  for (const std::string method : {"cludi", "sinkhorn"}) {
    cluster("--method " + method + " --out whole.safetensors --state whole-" + method);
    const auto half = "cluster --features features.safetensors " + kQuick + "--method " + method +
                      " --out parts.safetensors --state parts-" + method;
    EXPECT_EQ(sdg(half + " --stop-after 2").code, 130);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "parts.safetensors"));
    const auto rest = sdg(half);
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_THAT(rest.err, HasSubstr(": 2 of "));
    EXPECT_EQ(test::read_text(folder_ / "whole.safetensors"), test::read_text(folder_ / "parts.safetensors")) << method;
    EXPECT_EQ(test::read_text(folder_ / ("whole-" + method)), test::read_text(folder_ / ("parts-" + method)));
    std::filesystem::remove(folder_ / "parts.safetensors");
    expect_failure(sdg(half + " --seed 2"), 2, "was begun with seed 0, not 2");
    const auto asked =
        sdg("cluster --features features.safetensors --from parts-" + method + " --out asked.safetensors");
    ASSERT_EQ(asked.code, 0) << asked.err;
    EXPECT_TRUE(at::equal(tensors::read_tensors(folder_ / "asked.safetensors").at("ids"),
                          tensors::read_tensors(folder_ / "whole.safetensors").at("ids")));
  }
}

TEST_F(Cluster, TheHeadOfARunAnswersForItsImages) {
  train_run();
  const auto result = sdg("cluster run --json --method head --device cpu --out head.safetensors");
  ASSERT_EQ(result.code, 0) << result.err;
  const auto row = nlohmann::json::parse(result.out);
  EXPECT_EQ(row.at("clusters"), 5);
  EXPECT_TRUE(row.contains("nmi"));
  const auto file = tensors::read_tensors(folder_ / "head.safetensors");
  EXPECT_TRUE(at::equal(at::mm(file.at("embeddings"), file.at("prototypes").t()).argmax(1), file.at("ids")));
  expect_failure(sdg("cluster run --method head --device cpu --features features.safetensors --out x.safetensors"), 1,
                 "its head takes features of width");
  expect_failure(sdg("cluster run --method head --clusters 3"), 2, "the head of a run knows");
}

TEST_F(Cluster, OfARunWhoseClustersRestAreTheKeptOnes) {
  train_run("--set cluster.start=0 --set cluster.end=0.5 --set condition.change=0.2 --set cluster.hidden=8");
  ASSERT_EQ(sdg("cluster run --method head --device cpu --out head.safetensors").code, 0);
  const auto file = tensors::read_tensors(folder_ / "head.safetensors");
  const auto kept = tensors::read_tensors(last()).at("kept_clusters").squeeze(1).to(at::kLong);
  EXPECT_GT(kept.ge(0).sum().item<int64_t>(), 0) << "tests nothing";
  EXPECT_TRUE(at::equal(file.at("ids").masked_select(kept.ge(0)), kept.masked_select(kept.ge(0))));
  EXPECT_TRUE(at::equal(file.at("probabilities").argmax(1), file.at("ids")));
  EXPECT_EQ(file.at("centroids").size(0), 5);
  tensors::TensorFile other;
  other.tensors["features"] = at::ones({30, 16 * 32});
  tensors::write_tensors(folder_ / "other.safetensors", other);
  expect_failure(sdg("cluster run --method head --device cpu --features other.safetensors --out x.safetensors"), 2,
                 "its clusters rest (cluster.end)");
  test::write_text(folder_ / "picture.png", "never read");
  expect_failure(sdg("sample --run run --cluster-from picture.png"), 2, "the clusters of this run rest");
}

TEST_F(Cluster, BadInputIsOneClearLine) {
  const std::string given = "--features features.safetensors ";
  refused(given + "--clusters 1798", 1, "1798 clusters of 1797 rows");
  refused(given + "--clusters 1", 2, "--clusters: expected a whole number");
  refused("--features nowhere.npy", 1, "nowhere.npy: no such file of features");
  refused(given + "--out ids.txt", 2, "must end in .safetensors");
  refused(given + "--export ids,colours", 2, "got colours");
  refused(given + "--set cludi.train.teacher=average", 2, "cludi.train.teacher_gradient");
  refused(given + "--set cludi.train.epoch=3", 2, "did you mean cludi.train.epochs");
  auto file = tensors::read_tensors(folder_ / "features.safetensors");
  auto broken = file.at("features").clone();
  broken[3][3] = NAN;
  tensors::write_tensors(folder_ / "nan.safetensors", {{{"features", broken}}, {}});
  refused("--features nan.safetensors", 1, "not finite (the first in row 3)");
  tensors::write_tensors(folder_ / "same.safetensors", {{{"features", at::ones({20, 8})}}, {}});
  refused("--features same.safetensors --clusters 3", 1, "only 1 of the 20 rows are different");
  tensors::write_tensors(folder_ / "narrow.safetensors", {{{"features", test::planted_rows(4, 20, 16)}}, {}});
  cluster("--method sinkhorn --out ids.safetensors");
  refused("--from ids.state.safetensors --features narrow.safetensors --out x.safetensors", 1,
          "learned on features of width 64, got 16");
  expect_failure(sdg("eval-clusters --files ids.safetensors"), 2, "says nothing without the other");
  tensors::write_tensors(folder_ / "few.safetensors", {{{"labels", at::zeros({5}, at::kLong)}}, {}});
  expect_failure(sdg("eval-clusters --files ids.safetensors --labels few.safetensors"), 1, "holds 1797 rows");
}

TEST_F(Cluster, TheOptionsPageIsTrue) {
  EXPECT_EQ(sdg("cluster --markdown").out, test::read_text(SDG_SOURCE_DIR "/docs/cluster_options.md"))
      << "write it anew: tools/write_docs.sh";
}

TEST_F(Cluster, OptionsOfAnotherMethodAreRefused) {
  const std::string kmeans = "--features features.safetensors --clusters 10 --method kmeans --out k.safetensors ";
  refused(kmeans + "--set sinkhorn.dim=3", 2, "--set sinkhorn.dim=3: the method is kmeans");
  refused(kmeans + "--preset as_described", 2, "--preset: is of --method cludi, and the method is kmeans");
  refused(kmeans + "--state s.safetensors", 2, "--state: kmeans stores nothing");
  refused(kmeans + "--stop-after 3", 2, "--stop-after: kmeans does not stop");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "k.safetensors"));
}

TEST_F(Cluster, AnUnfinishedOrDamagedStateIsNotAsked) {
  const std::string begin =
      "cluster --features features.safetensors --clusters 10 --method sinkhorn --out s.safetensors " + kQuick +
      "--stop-after 1";
  EXPECT_EQ(sdg(begin).code, 130) << "as Ctrl-C";
  refused("--features features.safetensors --from s.state.safetensors --out t.safetensors", 2, " of its ");
  auto bytes = test::read_text(folder_ / "s.state.safetensors");
  bytes[bytes.size() - 500] ^= 0x40;
  test::write_text(folder_ / "s.state.safetensors", bytes);
  expect_failure(sdg(begin), 1, "damaged");
}
