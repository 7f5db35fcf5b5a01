#include "sdg/study/feature_study.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "sdg/cluster/kmeans.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/metrics/clustering.h"
#include "sdg/metrics/probes.h"

namespace sdg::study {
namespace {

constexpr int64_t kHeldBytes = int64_t{1} << 30;  // features in memory at a time
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<std::string> poolings_of(const FeatureStudyOptions& options, const model::VelocityModel& model) {
  if (options.poolings.empty())
    return model.has_cls_token() ? std::vector<std::string>{"mean", "flat", "cls"}
                                 : std::vector<std::string>{"mean", "flat"};
  for (const auto& pooling : options.poolings) {
    SDG_CHECK_USAGE(config::from_name<cluster::Pooling>(pooling), "pooling: expected mean, flat or cls, got ", pooling);
    SDG_CHECK_USAGE(pooling != "cls" || model.has_cls_token(), "pooling: this network has no cls token");
  }
  return options.poolings;
}

template <class Value>
void check_distinct(const std::vector<Value>& values, const char* what) {
  const std::set<Value> distinct(values.begin(), values.end());
  SDG_CHECK_USAGE(distinct.size() == values.size(), what, ": the same value stands twice");
}

// Pieces of the taps of one time whose features fit in memory together; the taps of one depth stay together.
std::vector<std::vector<Tap>> groups_of(const std::vector<Tap>& taps, int64_t images,
                                        const model::VelocityModel& model) {
  std::map<int64_t, std::vector<Tap>> by_depth;
  for (const auto& tap : taps) by_depth[tap.depth].push_back(tap);
  std::vector<std::vector<Tap>> groups;
  int64_t held = 0;
  for (const auto& [depth, own] : by_depth) {
    int64_t bytes = 0;
    for (const auto& tap : own) bytes += images * feature_width(tap, model) * 4;
    if (groups.empty() || held + bytes > kHeldBytes) {
      groups.emplace_back();
      held = 0;
    }
    held += bytes;
    groups.back().insert(groups.back().end(), own.begin(), own.end());
  }
  return groups;
}

// Cluster of each row of x, by squared distances to centroids of standardised features.
Tensor nearest(const Tensor& x, const cluster::Standardizer& scale, const Tensor& centroids) {
  constexpr int64_t kRows = 256;
  const auto half = centroids.square().sum(1) / 2;
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < x.size(0); i += kRows)
    parts.push_back((scale.apply(x.slice(0, i, i + kRows)).mm(centroids.t()) - half).argmax(1));
  return at::cat(parts);
}

class Study {
 public:
  Study(const checkpoint::Trained& trained, const data::Dataset& dataset, const std::vector<int64_t>& indices,
        const Tensor& labels, const FeatureStudyOptions& options, const at::Device& device, const Progress& progress)
      : trained_(trained),
        dataset_(dataset),
        indices_(indices),
        labels_(labels.defined() ? labels.to(device) : Tensor()),
        options_(options),
        device_(device),
        progress_(progress) {
    const auto n = static_cast<int64_t>(indices.size());
    clusters_ = study_clusters(options, trained, n);
    SDG_CHECK_USAGE(options.neighbours >= 1, "neighbours: must be at least 1, got ", options.neighbours);
    if (!labels_.defined()) return;
    SDG_CHECK(labels.dim() == 1 && labels.size(0) == n, "feature study: expected ", n, " labels, got ", labels.sizes());
    const auto split = probe_split(n, options.test_share, options.seed);
    train_ = at::tensor(split.train).to(device);
    test_ = at::tensor(split.test).to(device);
  }

  std::vector<FeatureRow> run() {
    const auto taps = taps_of(options_, trained_);
    total_ = static_cast<int64_t>(taps.size() + 1) * kTapWork;
    std::vector<FeatureRow> rows{pixels()};
    advance(kTapWork);
    for (size_t begin = 0, end = 0; begin < taps.size(); begin = end) {
      while (end < taps.size() && taps[end].time == taps[begin].time) ++end;
      const std::vector<Tap> now(taps.begin() + static_cast<std::ptrdiff_t>(begin),
                                 taps.begin() + static_cast<std::ptrdiff_t>(end));
      for (const auto& group : groups_of(now, static_cast<int64_t>(indices_.size()), *trained_.network.model)) {
        const auto found = measure(group);
        if (stopped()) return rows;  // a group that was broken off is not whole
        rows.insert(rows.end(), found.begin(), found.end());
      }
    }
    return rows;
  }

 private:
  struct Clusters {
    cluster::Standardizer scale;
    Tensor centroids, ids;
  };

  bool stopped() const { return options_.stop && options_.stop(); }
  void advance(int64_t work) {
    done_ += work;
    if (progress_) progress_(done_, total_);
  }

  FeatureRow pixels() {
    FeatureRow row{{1, -1, "pixels"}, 0, kNaN, kNaN, kNaN, kNaN};
    row.width = dataset_.channels() * dataset_.image_size() * dataset_.image_size();
    if (!labels_.defined()) return row;
    const auto x = dataset_.values(indices_).flatten(1).to(device_);
    probe(x, row);
    row.nmi = metrics::cluster_scores(labels_.cpu(), clusters_of(x).ids.cpu()).nmi;
    return row;
  }

  void probe(const Tensor& x, FeatureRow& row) const {
    if (!labels_.defined()) return;
    const auto rows = x.index_select(0, train_), test_rows = x.index_select(0, test_);
    const auto known = labels_.index_select(0, train_), truth = labels_.index_select(0, test_);
    row.linear = metrics::linear_probe(rows, known, test_rows, truth).accuracy;
    metrics::KnnOptions options;
    options.neighbours = options_.neighbours;
    const auto named = metrics::knn_predict(rows, known, test_rows, options);
    row.knn = named.eq(truth).to(at::kDouble).mean().item<double>();
  }

  Clusters clusters_of(const Tensor& x) const {
    Clusters out{cluster::Standardizer::fit(x), {}, {}};
    cluster::KmeansOptions options;
    options.clusters = clusters_;
    options.seed = options_.seed;
    const auto result = cluster::kmeans(out.scale.apply(x), options);
    out.centroids = result.centroids;
    out.ids = result.assignments;
    return out;
  }

  std::vector<Tensor> features(const std::vector<Tap>& taps, rng::Purpose noise) {
    const auto work = static_cast<int64_t>(taps.size()) * kTapWork / 4;
    const auto before = done_;
    const auto report = [&](int64_t done, int64_t total) {
      if (progress_) progress_(before + work * done / total, total_);
    };
    auto out = network::extract_features(trained_.info.config, trained_.network, dataset_, indices_, taps, device_,
                                         report, noise);
    done_ = before + work;
    return out;
  }

  // A quarter of the work each: features, probes, k-means, features through another noise.
  std::vector<FeatureRow> measure(const std::vector<Tap>& taps) {
    std::vector<FeatureRow> rows;
    for (const auto& tap : taps)
      rows.push_back({tap, feature_width(tap, *trained_.network.model), kNaN, kNaN, kNaN, kNaN});
    std::vector<Clusters> clusters;
    {
      const auto x = features(taps, rng::Purpose::kTeacherNoise);
      probe_all(x, rows);
      for (size_t i = 0; i < taps.size() && !stopped(); ++i) {
        clusters.push_back(clusters_of(x[i].to(device_)));
        if (labels_.defined()) rows[i].nmi = metrics::cluster_scores(labels_.cpu(), clusters.back().ids.cpu()).nmi;
        advance(kTapWork / 4);
      }
    }
    if (stopped()) return rows;
    const auto x = features(taps, rng::Purpose::kStudentNoise);
    for (size_t i = 0; i < taps.size(); ++i) {
      const auto& own = clusters[i];
      rows[i].agreement =
          metrics::cluster_scores(own.ids.cpu(), nearest(x[i].to(device_), own.scale, own.centroids).cpu()).nmi;
    }
    return rows;
  }

  // Whole taps to the workers: the kernels of one are too small to share.
  void probe_all(const std::vector<Tensor>& x, std::vector<FeatureRow>& rows) {
    const auto total = static_cast<int64_t>(x.size());
    const int64_t round = device_.is_cpu() ? worker_pool().threads() : 1;
    for (int64_t first = 0; first < total && !stopped(); first += round) {
      const auto count = std::min(round, total - first);
      const auto one = [&](int64_t i) {
        const auto at = static_cast<size_t>(first + i);
        probe(x[at].to(device_), rows[at]);
      };
      if (device_.is_cpu())
        worker_pool().run(count, one);
      else
        one(0);
      advance(count * (kTapWork / 4));
    }
  }

  const checkpoint::Trained& trained_;
  const data::Dataset& dataset_;
  const std::vector<int64_t>& indices_;
  Tensor labels_, train_, test_;
  const FeatureStudyOptions& options_;
  at::Device device_;
  const Progress& progress_;
  int64_t clusters_ = 0, done_ = 0, total_ = 0;
};

}  // namespace

int64_t study_clusters(const FeatureStudyOptions& options, const checkpoint::Trained& trained, int64_t images) {
  const auto clusters = options.clusters > 0 ? options.clusters : trained.info.config.cluster.clusters;
  SDG_CHECK_USAGE(clusters >= 2 && clusters <= images, "clusters: expected 2 to ", images,
                  " (the number of images) for the k-means, got ", clusters);
  return clusters;
}

std::vector<Tap> taps_of(const FeatureStudyOptions& options, const checkpoint::Trained& trained) {
  const auto& model = *trained.network.model;
  auto depths = options.depths;
  if (depths.empty()) depths = rng::consecutive(0, model.blocks());
  for (const auto depth : depths)
    SDG_CHECK_USAGE(depth >= 0 && depth < model.blocks(), "depth: the network has blocks 0 to ", model.blocks() - 1,
                    ", got ", depth);
  SDG_CHECK_USAGE(!options.times.empty(), "times: expected at least one");
  for (const auto time : options.times)
    SDG_CHECK_USAGE(time >= 0 && time <= 1, "time: must be from 0 (noise) to 1 (image), got ", time);
  check_distinct(depths, "depths");
  check_distinct(options.times, "times");
  check_distinct(options.poolings, "poolings");
  std::sort(depths.begin(), depths.end());
  auto times = options.times;
  std::sort(times.begin(), times.end());
  std::vector<Tap> taps;
  for (const auto time : times)
    for (const auto& pooling : poolings_of(options, model))
      for (const auto depth : depths) {
        const Tap tap{time, depth, pooling};
        const bool asked = !options.poolings.empty();
        if (asked || pooling != "flat" || feature_width(tap, model) <= kWidestFlat) taps.push_back(tap);
      }
  return taps;
}

ProbeSplit probe_split(int64_t n, double test_share, uint64_t seed) {
  const auto tested = static_cast<int64_t>(std::llround(static_cast<double>(n) * test_share));
  SDG_CHECK_USAGE(tested >= 1 && tested < n, "probes: ", n, " images and a test share of ", test_share,
                  " leave nothing to learn or to test on");
  const auto order = rng::permutation({seed, rng::Purpose::kSubset, 1}, n);
  ProbeSplit split{{order.begin() + tested, order.end()}, {order.begin(), order.begin() + tested}};
  std::sort(split.train.begin(), split.train.end());
  std::sort(split.test.begin(), split.test.end());
  return split;
}

std::vector<FeatureRow> study_features(const checkpoint::Trained& trained, const data::Dataset& dataset,
                                       const std::vector<int64_t>& indices, const Tensor& labels,
                                       const FeatureStudyOptions& options, const at::Device& device,
                                       const Progress& progress) {
  return Study(trained, dataset, indices, labels, options, device, progress).run();
}

}  // namespace sdg::study
