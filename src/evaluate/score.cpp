#include "sdg/evaluate/score.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/metrics/frechet_spread.h"
#include "sdg/metrics/inception_score.h"
#include "sdg/metrics/kernel_distance.h"
#include "sdg/metrics/manifold.h"
#include "sdg/metrics/memorisation.h"

namespace sdg::evaluate {

void warn_of_few(const std::string& text, int64_t images, int64_t features) {
  if (images == 0 || images > features) return;
  log::warning(cat(text, ": ", images, " images for ", features,
                   " features: their covariance has no full rank, and the Fréchet distance depends on the number of "
                   "images more than on the images"));
}

namespace {

Score frechet_score(const std::string& name, const metrics::Gaussian& a, const metrics::Gaussian& b) {
  const auto found = metrics::frechet(a, b);
  return {name, found.distance, {{"residual", found.residual}}};
}

std::vector<Score> scores_of(Metric metric, const Side& a, const Side& b, const ScoreOptions& options) {
  const auto number = [](int64_t n) { return static_cast<double>(n); };
  switch (metric) {
    case Metric::kFrechet:
      return {frechet_score("FID", a.pooled, b.pooled)};
    case Metric::kSpatial:
      return {frechet_score("sFID", a.spatial, b.spatial)};
    case Metric::kSpatialBlock:
      return {frechet_score("sFID-block", a.block, b.block)};
    case Metric::kScore: {
      const auto s = metrics::inception_score(a.logits, options.splits);
      return {{"IS", s.mean, {{"deviation", s.deviation}, {"splits", number(s.pieces)}}}};
    }
    case Metric::kKernel: {
      const auto s =
          metrics::kernel_distance(b.rows, a.rows, {.subsets = options.subsets, .subset_size = options.subset_size});
      return {
          {"KID",
           s.mean,
           {{"deviation", s.deviation}, {"subsets", number(options.subsets)}, {"subset_size", number(s.subset_size)}}}};
    }
    case Metric::kManifold: {
      const auto s = metrics::manifold(b.rows, a.rows, 3, metrics::Surface::kIn);
      return {{"precision", s.precision, {{"k", 3}}}, {"recall", s.recall, {{"k", 3}}}};
    }
    case Metric::kDensity: {
      const auto s = metrics::manifold(b.rows, a.rows, 5, metrics::Surface::kOut);
      return {{"density", s.density, {{"k", 5}}}, {"coverage", s.coverage, {{"k", 5}}}};
    }
    case Metric::kLimit: {
      const auto s = metrics::frechet_limit(a.rows, b.pooled, options.points);
      return {{"FID-infinity", s.value, {{"slope", s.slope}, {"points", number(options.points)}}}};
    }
    case Metric::kInterval: {
      const auto s = metrics::frechet_interval(a.rows, b.pooled, options.resamples, options.level);
      return {{"FID-interval",
               s.value,
               {{"low", std::max(0.0, s.low)},
                {"high", s.high},
                {"level", options.level},
                {"deviation", s.deviation},
                {"resamples", number(s.resamples)}}}};
    }
    case Metric::kMemorised: {
      const auto s = metrics::memorisation(b.rows, a.rows);
      return {{"memorised",
               s.suspicious,
               {{"level", metrics::MemorisationOptions().level},
                {"threshold", s.threshold},
                {"authentic", s.authentic},
                {"copies", number(s.copies)}}}};
    }
  }
  throw Error("metric of no kind");
}

}  // namespace

std::vector<Score> score(const std::vector<Metric>& metrics, const Side& measured, const Side& reference,
                         const vision::FeatureExtractor& extractor, const ScoreOptions& options) {
  warn_of_few(measured.text, measured.pooled.count, extractor.dim());
  const bool referred = std::any_of(metrics.begin(), metrics.end(), [](Metric m) { return needs_of(m).reference; });
  if (referred) warn_of_few(reference.text, reference.pooled.count, extractor.dim());
  std::vector<Score> out;
  for (const auto metric : metrics) {
    for (auto& one : scores_of(metric, measured, reference, options)) {
      one.name =
          one.name == "FID-interval" ? metric_title("FID", extractor) + "-interval" : metric_title(one.name, extractor);
      out.push_back(std::move(one));
    }
  }
  return out;
}

}  // namespace sdg::evaluate
