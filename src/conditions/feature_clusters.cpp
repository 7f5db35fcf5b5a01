#include "sdg/conditions/feature_clusters.h"

#include <ATen/ATen.h>

#include <cmath>
#include <unordered_set>

#include "sdg/cludi/trainer.h"
#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/log.h"
#include "sdg/core/unit_rows.h"
#include "sdg/io/digest.h"

namespace sdg::conditions {

void KmeansSettings::visit(config::Fields& fields) {
  fields("restarts", restarts,
         {.help = "Independent starts; the one of lowest inertia is kept.", .min = 1, .max = 10000});
  fields("iterations", iterations, {.help = "At most, of each start.", .min = 1, .max = 1000000});
  fields("minibatch", minibatch,
         {.help = "0: all rows in every iteration; else mini-batches of this many.", .min = 0, .max = 1 << 30});
  fields("start", start, {.help = "plusplus (greedy k-means++) or random (different rows)."});
  fields("standardize", standardize, {.help = "Every feature to mean 0 and variance 1 first."});
  fields("l2", l2, {.help = "Then every row to length 1."});
}

void FeatureClustering::visit(config::Fields& fields) {
  fields("method", method,
         {.help = "cludi, kmeans, sinkhorn (a SwAV-style head) or head (the online clusters of a run)."});
  fields("clusters", clusters, {.help = "K.", .min = 2, .max = 1 << 20});
  fields("seed", seed, {.help = "Key of all randomness.", .min = 0});
  fields.group("kmeans", kmeans, "Method kmeans.");
  fields.group("sinkhorn", sinkhorn, "Method sinkhorn: a prototype head on two noisy views of the features.");
  fields.group("cludi", cludi, "Method cludi; the defaults are the preset as_code.");
}

namespace {

int64_t different_rows(const Tensor& features, int64_t enough) {
  const auto x = features.to(at::kFloat).cpu().contiguous();
  const auto bytes = static_cast<size_t>(x.size(1)) * sizeof(float);
  const auto* data = reinterpret_cast<const char*>(x.const_data_ptr<float>());
  std::unordered_set<std::string_view> seen;
  for (int64_t row = 0; row < x.size(0) && static_cast<int64_t>(seen.size()) < enough; ++row)
    seen.emplace(data + static_cast<size_t>(row) * bytes, bytes);
  return static_cast<int64_t>(seen.size());
}

}  // namespace

void check_features(const Tensor& features, int64_t clusters, const std::string& where) {
  const auto rows = features.size(0);
  SDG_CHECK(clusters >= 2, where, ": one cluster says nothing: ask for at least 2, got ", clusters);
  SDG_CHECK(clusters <= rows, where, ": ", clusters, " clusters of ", rows, " rows: expected at most one a row");
  if (!is_finite(features)) {
    const auto bad = features.isfinite().all(1).logical_not();
    throw Error(cat(where, ": row ", bad.to(at::kInt).argmax().item<int64_t>(), " holds NaN or infinity (",
                    bad.sum().item<int64_t>(), " of ", rows, " rows do)"));
  }
  const auto different = different_rows(features, clusters);
  SDG_CHECK(different >= clusters, where, ": only ", different, " of the ", rows, " rows are different, too few for ",
            clusters, " clusters");
  const auto zero = features.eq(0).all(1);
  if (const auto count = zero.sum().item<int64_t>(); count > 0)
    log::warning(cat(where, ": ", count, " of ", rows, " rows are zero (the first is row ",
                     zero.to(at::kInt).argmax().item<int64_t>(), "): they have no direction"));
}

cluster::Answer kmeans_answer(const Tensor& features, const FeatureClustering& options, const Progress& progress,
                              Reducer& reducer, PseudoLabels* figures) {
  const auto& how = options.kmeans;
  OfflineKmeans offline;
  offline.kmeans = {options.clusters, how.iterations, how.restarts, static_cast<uint64_t>(options.seed),
                    how.start,        how.minibatch};
  offline.standardize = how.standardize;
  offline.l2 = how.l2;
  const auto x = prepared(features, offline);
  const auto found = cluster::kmeans(x, offline.kmeans, progress, reducer);
  const auto ids = found.assignments.cpu();
  if (figures) *figures = {ids, options.clusters, found.inertia, found.iterations};
  return {ids, Tensor(), found.centroids.cpu(), x.cpu()};
}

Tensor centroids_to_tell(const cluster::Answer& answer) {
  const auto& rows = answer.embeddings;
  const auto sums = at::zeros_like(answer.prototypes).index_add_(0, answer.ids, rows);
  const auto counts = at::bincount(answer.ids, {}, sums.size(0)).unsqueeze(1);
  return unit_rows(at::where(counts.gt(0), sums, answer.prototypes)) * std::sqrt(static_cast<double>(sums.size(1)));
}

Tensor sure_probabilities(const Tensor& ids, int64_t clusters) {
  return at::zeros({ids.size(0), clusters}).scatter_(1, ids.unsqueeze(1), 1);
}

std::unique_ptr<cluster::Learned> learner_for(const Tensor& features, const FeatureClustering& options) {
  const auto seed = static_cast<uint64_t>(options.seed);
  if (options.method == ClusterMethod::kSinkhorn)
    return std::make_unique<SwavTrainer>(features, options.clusters, options.sinkhorn, seed);
  SDG_ASSERT(options.method == ClusterMethod::kCludi, "method ", config::name(options.method), " does not learn");
  return std::make_unique<cludi::Trainer>(features, options.clusters, options.cludi, seed);
}

FeatureKey key_of(const Tensor& features) {
  return {io::Digest().tensor(features).hex(), features.size(1)};
}

}  // namespace sdg::conditions
