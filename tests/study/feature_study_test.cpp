#include "sdg/study/feature_study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "sdg/core/error.h"
#include "sdg/network/assign.h"
#include "sdg/study/feature_store.h"
#include "sdg/study/feature_table.h"
#include "support/thread_reducer.h"
#include "support/tiny_run.h"

using namespace sdg;
using namespace sdg::study;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

class FeatureStudy : public ::testing::Test {
 protected:
  FeatureStudy()
      : data_((test::write_tiny_data(folder_ / "data.safetensors"), folder_ / "data.safetensors")),
        trained_(checkpoint::load_trained(test::train_quietly(test::tiny_config(data_), folder_ / "run").checkpoint,
                                          at::kCPU)),
        opened_(sdg::data::open_data(trained_.info.config.data, "")),
        dataset_(opened_, trained_.info.config.data),
        indices_(rng::consecutive(0, dataset_.size())) {}

  std::string usage_error(const FeatureStudyOptions& options) const {
    try {
      taps_of(options, trained_);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  const test::TemporaryFolder folder_;
  const std::filesystem::path data_;
  const checkpoint::Trained trained_;
  const sdg::data::OpenedData opened_;
  const sdg::data::Dataset dataset_;
  const std::vector<int64_t> indices_;
};

FeatureRow row(double time, int64_t depth, const std::string& pooling, double linear, double knn = 0.5) {
  return {{time, depth, pooling}, 16, linear, knn, NAN, 0.25};
}
const std::vector<FeatureRow> kRows{row(1, -1, "pixels", 0.99, 0.9), row(0.5, 0, "mean", 0.4),
                                    row(0.5, 2, "mean", 0.7),        row(0.85, 0, "mean", 0.6),
                                    row(0.85, 2, "mean", 0.5),       row(0.85, 2, "cls", 0.8)};

}  // namespace

TEST_F(FeatureStudy, TheRunsOwnTapGivesTheFeaturesThatAreClustered) {
  const auto& config = trained_.info.config;
  const auto own = network::own_tap(config, *trained_.network.model);
  const auto taps = network::extract_features(trained_.info.config, trained_.network, dataset_, indices_,
                                              {{own.time, 0, "mean"}, own, {own.time, 2, "cls"}}, at::kCPU);
  ASSERT_EQ(taps.size(), 3U);
  const auto x = dataset_.values(indices_);
  const auto eps = rng::normal({recipe::seed_of(config), rng::Purpose::kTeacherNoise, 1}, indices_, x.sizes().slice(1));
  const auto t = at::full({x.size(0)}, config.cluster.teacher_time, x.options());
  EXPECT_TRUE(at::equal(taps[1], network::features_at(config, trained_.network, x, eps, t)));
  EXPECT_EQ(taps[0].sizes(), (Shape{40, 16}));
  EXPECT_EQ(feature_width(own, *trained_.network.model), taps[1].size(1));
}

TEST_F(FeatureStudy, AnImagesFeaturesDoNotDependOnTheOthers) {
  const std::vector<Tap> taps{{0.5, 1, "mean"}};
  const auto all =
      network::extract_features(trained_.info.config, trained_.network, dataset_, indices_, taps, at::kCPU)[0];
  const auto few =
      network::extract_features(trained_.info.config, trained_.network, dataset_, {7, 31}, taps, at::kCPU)[0];
  EXPECT_LT((few - all.index_select(0, at::tensor({7, 31}))).abs().max().item<float>(), 1e-5);
  const auto other = network::extract_features(trained_.info.config, trained_.network, dataset_, {7, 31}, taps,
                                               at::kCPU, {}, rng::Purpose::kStudentNoise)[0];
  EXPECT_GT((few - other).abs().max().item<float>(), 1e-3);
}

TEST_F(FeatureStudy, TapsAreAllBlocksAtAllTimesUnlessSomeAreAsked) {
  FeatureStudyOptions options;
  EXPECT_EQ(taps_of(options, trained_).size(), 5U * 3 * 3);  // times, poolings, blocks
  options.times = {0.9, 0.1};
  options.depths = {2, 0};
  options.poolings = {"cls"};
  EXPECT_THAT(taps_of(options, trained_),
              ElementsAre(Tap{0.1, 0, "cls"}, Tap{0.1, 2, "cls"}, Tap{0.9, 0, "cls"}, Tap{0.9, 2, "cls"}));
  options.depths = {3};
  EXPECT_THAT(usage_error(options), HasSubstr("blocks 0 to 2, got 3"));
  options.depths = {0, 0};
  EXPECT_THAT(usage_error(options), HasSubstr("twice"));
  options.depths = {};
  options.times = {1.5};
  EXPECT_THAT(usage_error(options), HasSubstr("got 1.5"));
  options.times = {0.5};
  options.poolings = {"max"};
  EXPECT_THAT(usage_error(options), HasSubstr("mean, flat or cls, got max"));
}

TEST_F(FeatureStudy, OnlyNetworksWithAClsTokenHaveThatPooling) {
  auto config = test::tiny_config(data_, "none");
  config.model.name = "dit-tiny/2";
  checkpoint::Trained dit;
  dit.info.config = config;
  dit.network = network::build_network(config, 0, at::kCPU);
  FeatureStudyOptions options;
  for (const auto& tap : taps_of(options, dit)) EXPECT_NE(tap.pooling, "cls");
  options.poolings = {"cls"};
  EXPECT_THROW(taps_of(options, dit), UsageError);
}

TEST_F(FeatureStudy, MeasuresEveryTapTheSameTwice) {
  FeatureStudyOptions options;
  options.times = {0.5, 0.95};
  options.poolings = {"mean", "flat"};
  const auto labels = opened_.labels->labels();
  int64_t last = 0, total = 0;
  const auto rows =
      study_features(trained_, dataset_, indices_, labels, options, at::kCPU, [&](int64_t done, int64_t all) {
        EXPECT_GE(done, last);
        last = done;
        total = all;
      });
  EXPECT_EQ(last, total);
  ASSERT_EQ(rows.size(), 1U + 2 * 2 * 3);
  EXPECT_EQ(rows[0].tap.pooling, "pixels");
  EXPECT_EQ(rows[0].width, 64);
  EXPECT_GT(rows[0].linear, 0.9) << "bright quarters can be told apart";
  EXPECT_TRUE(std::isnan(rows[0].agreement));
  for (size_t i = 1; i < rows.size(); ++i)
    for (const double value : {rows[i].linear, rows[i].knn, rows[i].nmi, rows[i].agreement})
      EXPECT_TRUE(value >= 0 && value <= 1) << i;
  const auto again = study_features(trained_, dataset_, indices_, labels, options, at::kCPU);
  ASSERT_EQ(again.size(), rows.size());
  for (size_t i = 1; i < rows.size(); ++i) {
    EXPECT_EQ(again[i].tap, rows[i].tap);
    EXPECT_EQ(again[i].linear, rows[i].linear);
    EXPECT_EQ(again[i].knn, rows[i].knn);
    EXPECT_EQ(again[i].nmi, rows[i].nmi);
    EXPECT_EQ(again[i].agreement, rows[i].agreement);
  }
}

TEST_F(FeatureStudy, WithoutLabelsMeasuresWhatNeedsNone) {
  FeatureStudyOptions options;
  options.times = {0.95};
  options.depths = {1};
  const auto rows = study_features(trained_, dataset_, indices_, {}, options, at::kCPU);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_TRUE(std::isnan(rows[1].linear) && std::isnan(rows[1].knn) && std::isnan(rows[1].nmi));
  EXPECT_TRUE(std::isfinite(rows[1].agreement));
  EXPECT_EQ(measures_in(rows).size(), 1U);
  // Labels change nothing of what needs none.
  const auto labelled = study_features(trained_, dataset_, indices_, opened_.labels->labels(), options, at::kCPU);
  for (size_t i = 1; i < rows.size(); ++i) EXPECT_EQ(labelled[i].agreement, rows[i].agreement);
}

TEST_F(FeatureStudy, NearlyCleanImagesKeepTheirClustersThroughAnotherNoise) {
  FeatureStudyOptions options;
  options.times = {0, 1};
  options.depths = {1};
  options.poolings = {"flat"};
  const auto rows = study_features(trained_, dataset_, indices_, {}, options, at::kCPU);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_LT(rows[1].agreement, 0.6) << "noise alone";
  EXPECT_GT(rows[2].agreement, 0.99) << "the image alone";
}

TEST_F(FeatureStudy, StopsBetweenTapsWithWholeRowsAndRefusesImpossibleCounts) {
  FeatureStudyOptions options;
  options.stop = [] { return true; };
  EXPECT_EQ(study_features(trained_, dataset_, indices_, {}, options, at::kCPU).size(), 1U);
  options.stop = {};
  options.clusters = 41;
  EXPECT_THROW(study_features(trained_, dataset_, indices_, {}, options, at::kCPU), UsageError);
}

TEST(ProbeSplit, CutsTheImagesInTwoByTheSeed) {
  const auto split = probe_split(50, 0.2, 3);
  EXPECT_EQ(split.test.size(), 10U);
  std::set<int64_t> all(split.train.begin(), split.train.end());
  all.insert(split.test.begin(), split.test.end());
  EXPECT_EQ(all.size(), 50U);
  EXPECT_EQ(*all.rbegin(), 49);
  EXPECT_EQ(probe_split(50, 0.2, 3).test, split.test);
  EXPECT_NE(probe_split(50, 0.2, 4).test, split.test);
  EXPECT_THROW(probe_split(2, 0.2, 0), UsageError);
}

TEST_F(FeatureStudy, StoredFeaturesAreThoseOfTheTapAndGoOnWhereTheyStopped) {
  const Tap tap{0.7, 2, "flat"};
  const auto path = folder_ / "features.safetensors";
  std::vector<int64_t> many;  // two pieces
  for (int64_t i = 0; i < 4200; ++i) many.push_back(i % 40);
  int64_t first_done = 0;  // where progress begins
  const auto store = [&](const std::function<bool()>& stop) {
    first_done = 0;
    const auto progress = [&](int64_t done, int64_t) { first_done = first_done > 0 ? first_done : done; };
    return store_features(path, trained_, checkpoint::Weights::kEma, opened_, dataset_, many, tap, at::kCPU, progress,
                          stop);
  };
  EXPECT_FALSE(store([asked = 0]() mutable { return asked++ == 1; }));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(store({}));
  EXPECT_GT(first_done, 4000) << "the first piece was kept";
  const auto file = tensors::read_tensors(path);
  EXPECT_TRUE(at::equal(file.at("features"), network::extract_features(trained_.info.config, trained_.network, dataset_,
                                                                       many, {tap}, at::kCPU)[0]));
  EXPECT_TRUE(at::equal(file.at("indices"), at::tensor(many)));
  EXPECT_TRUE(at::equal(file.at("labels"), opened_.labels->labels().repeat({105})));
  EXPECT_EQ(file.metadata.at("made_from"), trained_.path);
  EXPECT_EQ(file.metadata.at("depth"), "2");
  EXPECT_EQ(file.metadata.at("time"), "0.7");
  EXPECT_EQ(file.metadata.at("pooling"), "flat");
}

TEST_F(FeatureStudy, StoredFeaturesOfSeveralRanksAreWrittenByTheFirst) {
  const Tap tap{0.7, 2, "mean"};
  const auto one = folder_ / "one.safetensors", two = folder_ / "two.safetensors";
  std::vector<int64_t> many;  // three chunks
  for (int64_t i = 0; i < 150; ++i) many.push_back(i % 40);
  const auto store = [&](const std::filesystem::path& path, Reducer& reducer) {
    EXPECT_TRUE(store_features(path, trained_, checkpoint::Weights::kEma, opened_, dataset_, many, tap, at::kCPU, {},
                               {}, reducer));
  };
  store(one, Reducer::local());
  test::on_ranks(2, [&](Reducer& reducer) { store(reducer.rank() == 0 ? two : folder_ / "no", reducer); });
  test::expect_same_tensors(one, two);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "no"));
}

TEST_F(FeatureStudy, ClustersOfSeveralRanksAreThoseOfOne) {
  std::vector<int64_t> many;  // three chunks
  for (int64_t i = 0; i < 150; ++i) many.push_back(i % 40);
  const auto& info = trained_.info;
  const auto one = network::assign_clusters(info.config, trained_.network, dataset_, many, at::kCPU);
  for (const int64_t ranks : {2, 4}) {
    test::on_ranks(ranks, [&](Reducer& reducer) {
      EXPECT_TRUE(at::equal(
          network::assign_clusters(info.config, trained_.network, dataset_, many, at::kCPU, {}, reducer), one));
    });
  }
}

TEST(FeatureTable, MarksTheBestTapButNotThePixelsAndLeavesOutEmptyColumns) {
  const auto table = feature_table(kRows);
  EXPECT_THAT(table, HasSubstr("| depth | time | pooling | width | linear probe accuracy | k-NN accuracy | agreement"));
  EXPECT_THAT(table, HasSubstr("| – | – | raw pixels | 16 | 0.990 | 0.900 | 0.250 |"));
  EXPECT_THAT(table, HasSubstr("| 2 | 0.85 | cls | 16 | **0.800** | 0.500 | 0.250 |"));
  EXPECT_THAT(table, ::testing::Not(HasSubstr("NMI")));
}

TEST(FeatureTable, NamesTheOptionsOfTheBestTap) {
  const auto measures = measures_in(kRows);
  ASSERT_EQ(measures.size(), 3U);
  EXPECT_EQ(tap_options(best_tap(kRows, measures[0])->tap),
            "--set cluster.depth=2 --set cluster.pooling=cls --set cluster.teacher_time=0.85");
  EXPECT_EQ(best_tap({kRows[0]}, measures[0]), nullptr);
}

TEST(FeatureTable, TheMapIsDepthByTimeWithGapsWhereNothingWasMeasured) {
  auto rows = kRows;
  rows.erase(rows.begin() + 1);
  const auto map = feature_map(rows, measures_in(rows)[0], "mean");
  EXPECT_THAT(map.columns, ElementsAre("0.5", "0.85"));
  EXPECT_THAT(map.rows, ElementsAre("0", "2"));
  EXPECT_TRUE(std::isnan(map.values[0][0]));
  EXPECT_EQ(map.values[0][1], 0.6);
  EXPECT_EQ(map.values[1], (std::vector<double>{0.7, 0.5}));
  EXPECT_NO_THROW(report::draw(map));
  EXPECT_THAT(poolings_in(rows), ElementsAre("mean", "cls"));
}

TEST(FeatureTable, JsonHoldsRowsAndBestTaps) {
  const auto json = nlohmann::json::parse(to_json(kRows, "{\"seed\": 3}"));
  EXPECT_EQ(json.at("seed"), 3);
  EXPECT_EQ(json.at("rows").size(), kRows.size());
  EXPECT_FALSE(json["rows"][0].contains("depth"));
  EXPECT_TRUE(json["rows"][1]["nmi"].is_null());
  EXPECT_EQ(json["rows"][1]["linear"], 0.4);
  EXPECT_EQ(json["best"]["linear"]["pooling"], "cls");
}
