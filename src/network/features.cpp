#include "sdg/network/features.h"

#include <algorithm>
#include <set>

#include "network/chunks.h"
#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/network/assign.h"

namespace sdg::network {
namespace {

constexpr int64_t kChunkBytes = int64_t{1} << 28;  // tokens of a chunk of images
constexpr int64_t kLargestChunk = 64;              // as in assign.cpp, whose features these are

std::vector<int64_t> depths_of(const std::vector<Tap>& taps) {
  std::set<int64_t> depths;
  for (const auto& tap : taps) depths.insert(tap.depth);
  return {depths.begin(), depths.end()};
}

// Which images a chunk may hold, so that the kept tokens of its depths stay within bounds.
int64_t chunk_size(const std::vector<int64_t>& depths, const model::VelocityModel& model) {
  int64_t bytes = 0;
  for (const auto depth : depths)
    bytes += (model.extra_tokens() + model.feature_tokens(depth)) * model.feature_dim(depth) * 4;
  return std::clamp<int64_t>(kChunkBytes / bytes, 1, kLargestChunk);
}

cluster::Pooling pooling_of(const Tap& tap) {
  const auto pooling = config::from_name<cluster::Pooling>(tap.pooling);
  SDG_CHECK_USAGE(pooling, "pooling: expected mean, flat or cls, got ", tap.pooling);
  return *pooling;
}

}  // namespace

Tap own_tap(const recipe::RunConfig& config, const model::VelocityModel& model) {
  return {config.cluster.teacher_time, feature_depth(config, model), std::string(config::name(config.cluster.pooling))};
}

int64_t feature_width(const Tap& tap, const model::VelocityModel& model) {
  const auto width = model.feature_dim(tap.depth);
  return pooling_of(tap) == cluster::Pooling::kFlat ? width * model.feature_tokens(tap.depth) : width;
}

std::vector<Tensor> extract_features(const recipe::RunConfig& config, const Network& network,
                                     const data::Dataset& dataset, const std::vector<int64_t>& indices,
                                     const std::vector<Tap>& taps, const at::Device& device, const Progress& progress,
                                     rng::Purpose noise, Reducer& reducer) {
  SDG_CHECK(!taps.empty() && !indices.empty(), "extract_features: expected at least one tap and one image");
  const auto& model = *network.model;
  const auto depths = depths_of(taps);
  const auto chunk = chunk_size(depths, model);
  const auto all = static_cast<int64_t>(indices.size());
  const auto share = own_rows((all + chunk - 1) / chunk, reducer);  // of the chunks
  const std::vector<int64_t> mine(indices.begin() + std::min(all, share.begin * chunk),
                                  indices.begin() + std::min(all, share.end * chunk));
  const auto n = static_cast<int64_t>(mine.size());
  std::vector<Tensor> out;  // once: it may be most of the memory there is
  for (const auto& tap : taps) {
    SDG_CHECK(tap.time == taps.front().time, "extract_features: expected taps of one time");
    out.push_back(at::empty({n, feature_width(tap, model)}, at::kFloat));
  }
  for_each_chunk(mine, chunk, device, progress, [&](int64_t number, const std::vector<int64_t>& own) {
    const at::NoGradGuard no_grad;
    const auto x = load_images(dataset, own, device);
    const auto eps = rng::normal({recipe::seed_of(config), noise, 1}, dataset.shown(own), x.sizes().slice(1), device);
    const auto t = at::full({x.size(0)}, taps.front().time, x.options());
    const auto tokens = tokens_at(config, network, x, eps, t, depths);
    for (size_t i = 0; i < taps.size(); ++i) {
      const auto at = std::lower_bound(depths.begin(), depths.end(), taps[i].depth) - depths.begin();
      const auto pooled = pool_tokens(pooling_of(taps[i]), tokens[static_cast<size_t>(at)], model.extra_tokens());
      out[i].narrow(0, number * chunk, x.size(0)).copy_(pooled);
    }
  });
  for (auto& features : out) features = reducer.all_gather(features);
  return out;
}

}  // namespace sdg::network
