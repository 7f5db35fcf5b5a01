#include "sdg/evaluate/gather.h"

#include <algorithm>
#include <functional>
#include <memory>

#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/evaluate/measure.h"
#include "sdg/io/digest.h"
#include "sdg/io/file_kind.h"
#include "sdg/metrics/feature_collector.h"

namespace sdg::evaluate {

Wanted wanted_of(const std::vector<Metric>& metrics, bool measured) {
  Wanted out;
  for (const auto metric : metrics) {
    const auto needs = needs_of(metric);
    if (!measured && !needs.reference) continue;
    out.spatial |= needs.layer == vision::Layer::kSpatial;
    out.block |= needs.layer == vision::Layer::kSpatialBlock;
    out.logits |= needs.layer == vision::Layer::kLogits;
    out.rows |= needs.layer == vision::Layer::kPooled && (measured ? needs.measured_rows : needs.reference_rows);
  }
  return out;
}

Side gather(const metrics::ImageFeed& feed, vision::FeatureExtractor& extractor, const Wanted& wanted,
            Reducer& reducer) {
  using vision::Layer;
  std::vector<Layer> layers;
  std::vector<std::unique_ptr<metrics::ColumnsOf>> columns;
  std::vector<metrics::FeatureSink*> sinks;
  int64_t place = 0;
  const auto take = [&](Layer layer, std::initializer_list<metrics::FeatureSink*> takers) {
    layers.push_back(layer);
    for (auto* taker : takers) {
      columns.push_back(std::make_unique<metrics::ColumnsOf>(place, extractor.width(layer), *taker));
      sinks.push_back(columns.back().get());
    }
    place += extractor.width(layer);
  };
  const auto width_or_1 = [&](Layer layer) { return std::max<int64_t>(1, extractor.width(layer)); };
  metrics::GaussianAccumulator pooled(extractor.dim()), spatial(width_or_1(Layer::kSpatial)),
      block(width_or_1(Layer::kSpatialBlock));
  metrics::FeatureCollector rows(wanted.keep), logits(wanted.keep);
  take(Layer::kPooled, {&pooled});
  if (wanted.rows) {
    columns.push_back(std::make_unique<metrics::ColumnsOf>(0, extractor.dim(), rows));
    sinks.push_back(columns.back().get());
  }
  if (wanted.spatial) take(Layer::kSpatial, {&spatial});
  if (wanted.block) take(Layer::kSpatialBlock, {&block});
  if (wanted.logits) take(Layer::kLogits, {&logits});

  io::Digest digest;
  const auto seen = [&](const std::function<void(const std::vector<Tensor>&)>& give) {
    feed([&](const std::vector<Tensor>& images) {
      for (const auto& image : images) {
        if (reducer.rank() == 0) digest.tensor(image);
      }
      give(images);
    });
  };
  const auto fed = metrics::for_each_features(
      seen,
      [&](const Tensor& images) {
        auto features = extractor.layers(images, layers);
        SDG_CHECK(at::isfinite(features).all().item<bool>(), extractor.name(),
                  ": gives NaN or infinity for an image; its weights may be damaged");
        return features;
      },
      sinks, reducer);
  Side out;
  if (reducer.rank() > 0) return out;
  out.pooled = pooled.result();
  out.pooled.extractor = extractor.name();
  out.pooled.weights = extractor.weights_digest();
  out.pooled.size = fed.size;
  if (wanted.spatial) out.spatial = spatial.result();
  if (wanted.block) out.block = block.result();
  if (wanted.rows) out.rows = rows.features();
  if (wanted.logits) out.logits = logits.features();
  out.fingerprint = digest.hex();
  return out;
}

namespace {

// At most `keep` of them, those that gather would have kept.
Tensor kept(const Tensor& rows, int64_t keep) {
  metrics::FeatureCollector some(keep);
  some.add(rows);
  return some.features();
}

// Of a file that holds features besides their statistics what the metrics want of them. Many files do not say how many
// images their statistics are of; that they are of these features their mean tells.
void take_rows(Side& side, const std::string& path, const vision::FeatureExtractor& extractor, const Wanted& wanted) {
  if (!wanted.rows && !wanted.logits) return;
  const auto stored = metrics::read_rows(path);
  if (!stored) return;
  auto& count = side.pooled.count;
  if (count == 0) count = stored->features.size(0);
  SDG_CHECK(stored->features.size(0) == count && stored->features.size(1) == extractor.dim(), path,
            ": its statistics are of ", count, " images and ", extractor.dim(), " features, the features ",
            to_string(stored->features.sizes()));
  SDG_CHECK(at::allclose(stored->features.to(at::kDouble).mean(0), side.pooled.mu, 5e-4, 5e-4), path,
            ": its mu is not the mean of its features: they are of other images");
  if (wanted.rows) side.rows = kept(stored->features, wanted.keep);
  if (wanted.logits && stored->logits.defined()) side.logits = kept(stored->logits, wanted.keep);
}

}  // namespace

Side stored_side(const std::string& path, const vision::FeatureExtractor& extractor, const std::vector<Metric>& metrics,
                 bool measured, int64_t keep) {
  Side out;
  out.text = path;
  out.stored = true;
  out.pooled = read_statistics(path, extractor);
  out.fingerprint = io::Digest().tensor(out.pooled.mu).tensor(out.pooled.sigma).hex();
  auto wanted = wanted_of(metrics, measured);
  wanted.keep = keep;
  take_rows(out, path, extractor, wanted);
  for (const auto metric : metrics) {
    const auto needs = needs_of(metric);
    const auto name = config::name(metric);
    const auto& rows = needs.layer == vision::Layer::kLogits ? out.logits : out.rows;
    SDG_CHECK_USAGE(rows.defined() || !(measured ? needs.measured_rows : needs.reference_rows), path, ": ", name,
                    " compares images one by one, and this file holds the statistics of many (sdg ref-stats --rows "
                    "keeps their features, too)");
    if (needs.layer == vision::Layer::kSpatial && needs.reference) {
      const auto spatial = io::lower_suffix(path) == ".npz" ? metrics::read_spatial_statistics(path) : std::nullopt;
      SDG_CHECK_USAGE(spatial, path, ": ", name, " needs statistics of the spatial features (mu_s and sigma_s)");
      out.spatial = *spatial;
    }
    SDG_CHECK_USAGE(needs.layer != vision::Layer::kSpatialBlock, path, ": ", name,
                    " needs images: no file of statistics holds these features");
  }
  return out;
}

}  // namespace sdg::evaluate
